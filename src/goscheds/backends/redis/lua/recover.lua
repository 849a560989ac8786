-- Uses prelude, jobs, lines, front, foreign, quarantine, taking.
-- Takes over jobs past their deadline, and those of lapsed workers. ARGV: worker, limit, how many microseconds a lapsed
-- worker is remembered: the server may still hand a ticket to the BLMOVE of one that was stopped.
-- Reply: why each was taken, a newline and its id, and the job, alternating.
local worker, limit, memory = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local reply, tickets = {}, {}
if not alive(worker) then return reply end

local function take_over(job, ticket, why)
  if job[CANCELLING] == 1 then
    call('SREM', cancelling_key(worker_of(job)), job[ID])
    call('SADD', cancelling_key(worker), job[ID])
  end
  if job[TIMEOUT] ~= 0 then call('ZREM', PREFIX .. 'deadlines', ticket) end
  take(job, worker, false)
  tickets[#tickets + 1] = ticket
  reply[#reply + 1], reply[#reply + 2] = why .. '\n' .. job[ID], job[VALUE]
end

-- Whether nobody but this lapsed worker has a job whose ticket is in its list: the name of its holder may be anybody's.
local function its_own(job, lapsed)
  local holder = worker_of(job)
  return holder == lapsed or not alive(holder)
end

local function drain(lapsed)
  local drained, unclaimed = call('LPOP', active_key(lapsed), limit - #tickets) or {}, {}
  for _, ticket in ipairs(drained) do
    local id = id_of(ticket)
    local job = if_here(load_whole(id), ticket)
    if job and job[STATE] == ACTIVE and its_own(job, lapsed) then
      take_over(job, ticket, 'lease')
    elseif job and job[STATE] == READY then
      unclaimed[#unclaimed + 1] = {job, ticket} -- the last that BLMOVE took is the first
    elseif sub(ticket, 17, 17) == '\n' then
      pass_on(sub(ticket, 18))
    elseif not job then
      quarantine(ticket, ACTIVE)
    end
  end
  for _, pair in ipairs(unclaimed) do put_in_front(unpack(pair)) end
  return #drained
end

for _, ticket in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'deadlines', '-inf', now, 'LIMIT', 0, limit)) do
  local id = id_of(ticket)
  local job = if_here(load_whole(id), ticket)
  if job and job[STATE] == ACTIVE then
    call('LREM', active_key(worker_of(job)), 1, ticket)
    take_over(job, ticket, 'deadline')
  else
    call('ZREM', PREFIX .. 'deadlines', ticket)
  end
end
for _, lapsed in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'workers', '-inf', now)) do
  if #tickets >= limit then break end
  if drain(lapsed) == 0 and call('ZSCORE', PREFIX .. 'workers', lapsed) + memory < now then
    call('ZREM', PREFIX .. 'workers', lapsed)
    call('HDEL', PREFIX .. 'info', lapsed)
  end
end
many('RPUSH', active_key(worker), tickets)
flush_counts()
return reply
