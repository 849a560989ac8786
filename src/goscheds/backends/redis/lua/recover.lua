-- Uses prelude, jobs, lines, front, foreign, quarantine, taking.
-- Takes over jobs past their deadline, and those of lapsed workers. ARGV: worker, limit, how many microseconds a lapsed
-- worker is remembered: the server may still hand a ticket to the BLMOVE of one that was stopped.
-- Reply: the tickets, the jobs, nothing, and why each was taken.
local worker, limit, memory = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local overdue = call('ZRANGEBYSCORE', PREFIX .. 'deadlines', '-inf', now, 'LIMIT', 0, limit)
local lapsed_workers = call('ZRANGEBYSCORE', PREFIX .. 'workers', '-inf', now)
if #overdue + #lapsed_workers == 0 or not alive(worker) then return {} end
go_on_when_full()
local jobs, reasons, number, failure = {}, {}, number_of(worker, true), nil
call('SCARD', active_key(worker)) -- fails where to take jobs would

-- Calls what may fail, since somebody else has put another type of value there: the others are taken over all the same.
local function try(step, ...)
  local fine, found = pcall(step, ...)
  failure = failure or not fine and found
  return fine and found
end

local function take_over(job, ticket, why)
  if job[CANCELLING] == 1 then
    call('SREM', cancelling_key(worker_of(job)), job[ID])
    call('SADD', cancelling_key(worker), job[ID])
  end
  if job[TIMEOUT] ~= 0 then call('ZREM', PREFIX .. 'deadlines', ticket) end
  take(job, number, false)
  jobs[#jobs + 1], reasons[#reasons + 1] = job[VALUE], why
end

-- What a lapsed worker's BLMOVE took and no script has claimed; how much it was.
local function give_back(lapsed)
  local drained, unclaimed = call('LRANGE', taken_key(lapsed), 0, limit - 1), {}
  for _, ticket in ipairs(drained) do
    local job = if_here(load(id_of(ticket)), ticket)
    if job and job[STATE] == READY then
      unclaimed[#unclaimed + 1] = {job, ticket} -- the last that BLMOVE took is the first
    elseif sub(ticket, 17, 17) == '\n' then
      pass_on(sub(ticket, 18))
    elseif not job then
      quarantine(ticket, READY)
    end
  end
  for _, pair in ipairs(unclaimed) do expect_front(pair[1][QUEUE], pair[1][PRIORITY]) end
  for _, pair in ipairs(unclaimed) do put_in_front(unpack(pair)) end
  call('LTRIM', taken_key(lapsed), #drained, -1)
  return #drained
end

-- What a lapsed worker holds; how much it was.
local function drain(lapsed)
  local drained = call('SRANDMEMBER', active_key(lapsed), limit - #tickets)
  for _, ticket in ipairs(drained) do
    local job = if_here(load_whole(id_of(ticket)), ticket)
    local holder = job and job[STATE] == ACTIVE and holder_of(job, lapsed)
    if holder and (holder == lapsed or not alive(holder)) then
      take_over(job, ticket, 'lease')
    elseif not job then
      quarantine(ticket, ACTIVE)
    end
  end
  flush_taken(worker) -- before the lapsed worker has them no more
  many('SREM', active_key(lapsed), drained)
  return #drained
end

local function take_overdue(ticket)
  local job = if_here(load_whole(id_of(ticket)), ticket)
  if not job or job[STATE] ~= ACTIVE then return call('ZREM', PREFIX .. 'deadlines', ticket) end
  local holder = worker_of(job)
  take_over(job, ticket, 'deadline')
  flush_taken(worker)
  if holder ~= worker then call('SREM', active_key(holder), ticket) end
end

for _, ticket in ipairs(overdue) do try(take_overdue, ticket) end
for _, lapsed in ipairs(lapsed_workers) do
  if #tickets >= limit then break end
  local given, taken = try(give_back, lapsed), try(drain, lapsed)
  if given == 0 and taken == 0 and call('ZSCORE', PREFIX .. 'workers', lapsed) + memory < now then
    call('ZREM', PREFIX .. 'workers', lapsed)
    call('HDEL', PREFIX .. 'info', lapsed)
    call('HDEL', PREFIX .. 'numbers', lapsed)
  end
end
flush_counts()
if failure then error(failure, 0) end
return {tickets, jobs, 0, reasons}
