-- What BLMOVE took, and no script has claimed.

-- Gives a ticket that BLMOVE took back to the head of its line; nothing if the claim was finished meanwhile.
local function put_back(worker, ticket)
  local job = if_here(load(id_of(ticket)), ticket)
  if call('LREM', taken_key(worker), 1, ticket) == 0 then return end
  if job and job[STATE] == READY and is_text(job[QUEUE]) then
    local put, failure = pcall(put_in_front, job, ticket)
    if put then return end
    call('LPUSH', taken_key(worker), ticket)
    error(failure, 0)
  else
    quarantine(ticket, READY)
  end
end

-- The ticket that the BLMOVE before this script took from a queue, if it took one: the first of the queue's in the worker's
-- list, where those of other BLMOVEs may stand as well.
local function moved(worker, queue)
  for n = 0, CHUNK do
    local ticket = call('LINDEX', taken_key(worker), n)
    if not ticket then return end
    local job = if_here(load(id_of(ticket)), ticket)
    if id_of(ticket) == '\n' .. queue or job and job[STATE] == READY and job[QUEUE] == queue then return ticket end
  end
end
