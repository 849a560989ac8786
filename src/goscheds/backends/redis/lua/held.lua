-- Uses prelude, jobs, lines, front, foreign, quarantine, unclaimed, taking.
-- Every claim of a worker; a claim that stopped between BLMOVE and its script is finished, or given back where the
-- worker may not have it. ARGV: worker. Reply: their tickets, and the jobs.
local worker, held, jobs, refused = ARGV[1], {}, {}, {}
go_on_when_full()
local good = alive(worker)
local number = number_of(worker, good)
for _, ticket in ipairs(call('SMEMBERS', active_key(worker))) do
  local job = if_here(load_whole(id_of(ticket)), ticket)
  if job and job[STATE] == ACTIVE and (job[WORKER] == number or holder_of(job, worker) == worker) then
    if job[WORKER] ~= number then
      job[WORKER] = number
      mark(job)
    end
    held[#held + 1], jobs[#jobs + 1] = ticket, job[VALUE]
  else
    call('SREM', active_key(worker), ticket)
    if not job then quarantine(ticket, ACTIVE) end
  end
end
local unclaimed = call('LRANGE', taken_key(worker), 0, -1)
if #unclaimed > 0 then call('ZCARD', PREFIX .. 'deadlines') end -- fails before anything is taken
for _, ticket in ipairs(unclaimed) do
  local job = if_here(load_whole(id_of(ticket)), ticket)
  if job and job[STATE] == READY and good and call('SISMEMBER', PREFIX .. 'paused', job[QUEUE]) == 0 then
    call('LREM', taken_key(worker), 1, ticket)
    take(job, number, true)
    held[#held + 1], jobs[#jobs + 1] = ticket, job[VALUE]
  else
    refused[#refused + 1] = ticket
  end
end
flush_taken(worker)
for _, ticket in ipairs(refused) do
  put_back(worker, ticket)
  if sub(ticket, 17, 17) == '\n' then pass_on(sub(ticket, 18)) end
end
flush_counts()
return {held, jobs}
