-- Uses prelude, jobs.
-- Jobs by id. ARGV: queue, name ('' = any), ids. Reply: id and job of each, alternating; unknown ids are left out.
local reply = {}
for i = 3, #ARGV do
  local job = load(ARGV[i])
  if job and (ARGV[1] == '' or job[QUEUE] == ARGV[1]) and (ARGV[2] == '' or name_of(job) == ARGV[2]) then
    reply[#reply + 1], reply[#reply + 2] = ARGV[i], whole(job)
  end
end
return reply
