-- Every claim of a worker; a claim that stopped between BLMOVE and its script is finished, or given back where the
-- worker may not have it. ARGV: worker. Reply: rows.
local worker, rows, refused = ARGV[1], {}, {}
go_on_when_full()
local good = alive(worker)
for _, ticket in ipairs(call('LRANGE', active_key(worker), 0, -1)) do
  local job = holder_of(ticket, FIELDS)
  if job and job[STATE] == 'ready' and good and not paused(job[QUEUE]) then take(ticket, job, worker, true) end
  if job and job[STATE] == 'active' and job[WORKER] == worker then
    rows[#rows + 1] = row(id_of(ticket), job)
  else
    refused[#refused + 1] = ticket
  end
end
for i = #refused, 1, -1 do put_back(worker, refused[i]) end
flush()
return rows
