-- Taking jobs into a worker's hands.
local deadlines = {}

-- Puts a whole job, ready or lost, into a worker's hands under a new fence; its ticket is in the worker's list, or put
-- there.
local function take(job, worker, timed)
  count(job[STATE], job[QUEUE], -1)
  count(ACTIVE, job[QUEUE], 1)
  if timed and job[TIMEOUT] ~= 0 then
    deadlines[#deadlines + 1], deadlines[#deadlines + 2] = now + job[TIMEOUT], job[PLACE] .. job[ID]
  end
  local old, form = job[VALUE], FORM_SIZE + job[WORKER_SIZE]
  local fence = job[FENCE] < MAX_FENCE and job[FENCE] + 1 or MAX_FENCE
  job[STATE], job[FENCE], job[CHANGED_AT], job[WORKER_SIZE] = ACTIVE, fence, now, #worker
  job[VALUE] = pack(HEAD, unpack(job, 1, RESULT_SIZE)) .. sub(old, HEAD_SIZE + 1, FORM_SIZE) .. worker .. sub(old, form + 1)
  call('SET', JOB .. job[ID], job[VALUE])
end

-- Gives a ticket that BLMOVE took back to the head of its line; nothing if the claim was finished meanwhile.
local function put_back(worker, ticket)
  local job = if_here(load(id_of(ticket)), ticket)
  if job and job[STATE] == ACTIVE and worker_of(job) == worker then return end
  if call('LREM', active_key(worker), 1, ticket) == 0 then return end
  if job and job[STATE] == READY and is_text(job[QUEUE]) then
    put_in_front(job, ticket)
  else
    quarantine(ticket, READY)
  end
end

-- The ticket that the BLMOVE before this script took from a queue, if it took one. BLMOVE puts it at the head of the worker's
-- list, before those of all finished claims; only other BLMOVEs' may stand there as well.
local function moved(worker, queue)
  for n = 0, CHUNK do
    local ticket = call('LINDEX', active_key(worker), n)
    if not ticket then return end
    local job = if_here(load(id_of(ticket)), ticket)
    if id_of(ticket) == '\n' .. queue or job and job[STATE] == READY and job[QUEUE] == queue then return ticket end
    if job and job[STATE] == ACTIVE then return end
  end
end

local function flush_deadlines()
  many('ZADD', PREFIX .. 'deadlines', deadlines)
end
