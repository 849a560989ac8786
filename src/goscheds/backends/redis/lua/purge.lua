-- Uses prelude, jobs.
-- Deletes settled jobs. ARGV: state, before (microseconds), limit, queue ('' = all), how many to pass over.
-- Reply: how many were deleted, and how many of another queue were passed over; both 0 at the end.
local before, limit, queue, over = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local STATES = {done = DONE, dead = DEAD, cancelled = CANCELLED}
local found = call('ZRANGEBYSCORE', PREFIX .. ARGV[1], '-inf', '(' .. before, 'LIMIT', over, limit)
local tickets, keys = {}, {}
for _, ticket in ipairs(found) do
  local id = id_of(ticket)
  local job = load(id)
  if queue == '' or not job or job[QUEUE] == queue then
    if job then count(STATES[ARGV[1]], job[QUEUE], -1) end -- otherwise somebody else deleted it
    tickets[#tickets + 1], keys[#keys + 1] = ticket, JOB .. id
  end
end
many('ZREM', PREFIX .. ARGV[1], tickets)
for first = 1, #keys, CHUNK do call('UNLINK', unpack(keys, first, math.min(first + CHUNK - 1, #keys))) end
flush_counts()
return {#keys, #found - #keys}
