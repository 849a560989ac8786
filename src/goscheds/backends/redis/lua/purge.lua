-- Deletes settled jobs. ARGV: state, before (microseconds), limit, queue ('' = all), how many to pass over.
-- Reply: how many were deleted, and how many of another queue were passed over; both 0 at the end.
local state, before, limit, queue, over = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local found = call('ZRANGEBYSCORE', PREFIX .. state, '-inf', '(' .. before, 'LIMIT', over, limit)
local tickets, keys = {}, {}
for _, ticket in ipairs(found) do
  local key = job_key(id_of(ticket))
  local at = call('HGET', key, 'queue')
  if queue == '' or at == queue then
    count(state, at, -1)
    tickets[#tickets + 1], keys[#keys + 1] = ticket, key
  end
end
many('ZREM', PREFIX .. state, tickets)
for first = 1, #keys, CHUNK do call('UNLINK', unpack(keys, first, math.min(first + CHUNK - 1, #keys))) end
flush()
return {#keys, #found - #keys}
