-- Takes over jobs past their deadline, and those of lapsed workers. ARGV: worker, limit, how many microseconds a lapsed
-- worker is remembered: the server may still hand a ticket to the BLMOVE of one that was stopped.
-- Reply: rows, each remarked with why it was taken.
local worker, limit, memory = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local rows, tickets = {}, {}
if not alive(worker) then return rows end

local function take_over(ticket, job, why)
  if job[CANCELLING] == '1' then
    call('SREM', cancelling_key(job[WORKER]), id_of(ticket))
    call('SADD', cancelling_key(worker), id_of(ticket))
  end
  if job[TIMEOUT] ~= '0' then call('ZREM', PREFIX .. 'deadlines', ticket) end
  take(ticket, job, worker, false)
  tickets[#tickets + 1] = ticket
  rows[#rows + 1] = row(id_of(ticket), job, why)
end

local function drain(lapsed)
  local drained, unclaimed = call('LPOP', active_key(lapsed), limit - #rows) or {}, {}
  for _, ticket in ipairs(drained) do
    local job = holder_of(ticket, FIELDS)
    if job and job[STATE] == 'active' and job[WORKER] == lapsed then
      take_over(ticket, job, 'lease')
    elseif job and job[STATE] == 'ready' then
      table.insert(unclaimed, 1, {job, ticket})
    elseif string.sub(ticket, 17, 17) == '\n' then
      pass_on(string.sub(ticket, 18))
    end
  end
  for _, pair in ipairs(unclaimed) do put_in_front(unpack(pair)) end
  return #drained
end

for _, ticket in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'deadlines', '-inf', now, 'LIMIT', 0, limit)) do
  local job = holder_of(ticket, FIELDS)
  if job and job[STATE] == 'active' then
    call('LREM', active_key(job[WORKER]), 1, ticket)
    take_over(ticket, job, 'deadline')
  else
    call('ZREM', PREFIX .. 'deadlines', ticket)
  end
end
for _, lapsed in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'workers', '-inf', now)) do
  if #rows >= limit then break end
  if drain(lapsed) == 0 and call('ZSCORE', PREFIX .. 'workers', lapsed) + memory < now then
    call('ZREM', PREFIX .. 'workers', lapsed)
    call('HDEL', PREFIX .. 'info', lapsed)
  end
end
many('RPUSH', active_key(worker), tickets)
flush()
return rows
