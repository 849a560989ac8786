-- Uses prelude, jobs, lines, front, foreign, quarantine, taking.
-- Takes over jobs past their deadline, and those of lapsed workers. ARGV: worker, limit, how many microseconds a lapsed
-- worker is remembered: the server may still hand a ticket to the BLMOVE of one that was stopped.
-- Reply: the tickets, the jobs, nothing, and why each was taken.
local worker, limit, memory = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local overdue = call('ZRANGEBYSCORE', PREFIX .. 'deadlines', '-inf', now, 'LIMIT', 0, limit)
local lapsed_workers = call('ZRANGEBYSCORE', PREFIX .. 'workers', '-inf', now)
if #overdue + #lapsed_workers == 0 or not alive(worker) then return {} end
local jobs, reasons, number = {}, {}, number_of(worker)

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
  local drained, unclaimed = call('LPOP', taken_key(lapsed), limit) or {}, {}
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
  for _, pair in ipairs(unclaimed) do put_in_front(unpack(pair)) end
  return #drained
end

-- What a lapsed worker holds; how much it was.
local function drain(lapsed)
  local drained, holder = call('SPOP', active_key(lapsed), limit - #tickets), number_of(lapsed)
  for _, ticket in ipairs(drained) do
    local job = if_here(load_whole(id_of(ticket)), ticket)
    if job and job[STATE] == ACTIVE and (job[WORKER] == holder or not alive(worker_of(job))) then
      take_over(job, ticket, 'lease') -- and so where the number of its holder is anybody's
    elseif not job then
      quarantine(ticket, ACTIVE)
    end
  end
  return #drained
end

for _, ticket in ipairs(overdue) do
  local job = if_here(load_whole(id_of(ticket)), ticket)
  if job and job[STATE] == ACTIVE then
    call('SREM', active_key(worker_of(job)), ticket)
    take_over(job, ticket, 'deadline')
  else
    call('ZREM', PREFIX .. 'deadlines', ticket)
  end
end
for _, lapsed in ipairs(lapsed_workers) do
  if #tickets >= limit then break end
  if give_back(lapsed) + drain(lapsed) == 0 and call('ZSCORE', PREFIX .. 'workers', lapsed) + memory < now then
    call('ZREM', PREFIX .. 'workers', lapsed)
    call('HDEL', PREFIX .. 'info', lapsed)
    call('HDEL', PREFIX .. 'numbers', lapsed)
  end
end
flush_taken(worker)
flush_counts()
return {tickets, jobs, 0, reasons}
