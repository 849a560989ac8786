-- Uses prelude, jobs, lines, front, foreign, quarantine, taking.
-- Every claim of a worker; a claim that stopped between BLMOVE and its script is finished, or given back where the
-- worker may not have it. ARGV: worker. Reply: id and job of each, alternating.
local worker, reply, refused = ARGV[1], {}, {}
go_on_when_full()
local good = alive(worker)
for _, ticket in ipairs(call('LRANGE', active_key(worker), 0, -1)) do
  local id = id_of(ticket)
  local job = if_here(load_whole(id), ticket)
  if job and job[STATE] == READY and good and call('SISMEMBER', PREFIX .. 'paused', job[QUEUE]) == 0 then
    take(job, worker, true)
  end
  if job and job[STATE] == ACTIVE then
    reply[#reply + 1], reply[#reply + 2] = id, job[VALUE]
  else
    refused[#refused + 1] = ticket
  end
end
for _, ticket in ipairs(refused) do put_back(worker, ticket) end
flush_deadlines()
flush_counts()
return reply
