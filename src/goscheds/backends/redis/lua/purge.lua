-- Uses prelude, jobs.
-- Deletes settled jobs. ARGV: state, before (microseconds), limit, queue ('' = all), how many to pass over.
-- Reply: how many were deleted, and how many of another queue were passed over; both 0 at the end. A ticket whose job
-- somebody else deleted goes with them, and not what was pushed under its id since.
local before, limit, queue, over = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local STATES = {done = DONE, dead = DEAD, cancelled = CANCELLED}
local found = call('ZRANGEBYSCORE', PREFIX .. ARGV[1], '-inf', '(' .. before, 'LIMIT', over, limit)
local tickets, keys = {}, {}
for _, ticket in ipairs(found) do
  local id = id_of(ticket)
  local job = if_here(load(id), ticket)
  if job and job[STATE] ~= STATES[ARGV[1]] then job = nil end
  if queue == '' or not job or job[QUEUE] == queue then
    if job then
      count(STATES[ARGV[1]], job[QUEUE], -1)
      keys[#keys + 1] = JOB .. id
    end
    tickets[#tickets + 1] = ticket
  end
end
many('ZREM', PREFIX .. ARGV[1], tickets)
for first = 1, #keys, CHUNK do call('UNLINK', unpack(keys, first, math.min(first + CHUNK - 1, #keys))) end
flush_counts()
return {#tickets, #found - #tickets}
