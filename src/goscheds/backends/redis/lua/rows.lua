-- Uses prelude, jobs.
-- Jobs by id. ARGV: queue, name ('' = any), ids.
-- Reply: nothing for each, their ids, the workers that hold them, and the jobs; unknown ids are left out.
local places, ids, workers, jobs = {}, {}, {}, {}
for i = 3, #ARGV do
  local job = load(ARGV[i])
  if job and (ARGV[1] == '' or job[QUEUE] == ARGV[1]) and (ARGV[2] == '' or name_of(job) == ARGV[2]) then
    places[#places + 1], ids[#ids + 1] = '', ARGV[i]
    workers[#workers + 1], jobs[#jobs + 1] = job[STATE] == ACTIVE and worker_of(job) or '', whole(job)
  end
end
return {places, ids, workers, jobs}
