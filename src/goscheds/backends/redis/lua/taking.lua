-- Taking jobs one by one, into the hands of who finishes a claim or takes one over.
local deadlines, tickets, taken = {}, {}, {}

-- Puts a job, ready or lost, into a worker's hands under a new fence.
local function take(job, number, timed)
  local ticket = job[PLACE] .. job[ID]
  count(job[STATE], job[QUEUE], -1)
  count(ACTIVE, job[QUEUE], 1)
  if timed and job[TIMEOUT] ~= 0 then
    deadlines[#deadlines + 1], deadlines[#deadlines + 2] = now + job[TIMEOUT], ticket
  end
  local fence = math.min(job[FENCE], MAX_FENCE - 1) + 1
  job[STATE], job[FENCE], job[CHANGED_AT], job[WORKER] = ACTIVE, fence, now, number
  mark(job)
  tickets[#tickets + 1], taken[#taken + 1] = ticket, ticket
end

-- Has the worker hold what was taken since the last time.
local function flush_taken(worker)
  many('SADD', active_key(worker), taken)
  many('ZADD', PREFIX .. 'deadlines', deadlines)
  taken, deadlines = {}, {}
end
