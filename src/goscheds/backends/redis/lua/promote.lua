-- Takes or renews the duty, and makes due jobs ready. ARGV: worker, limit, how many milliseconds the duty lasts.
-- Reply: how many became ready, and microseconds to the next that is due, -1 if none is scheduled;
-- -1 while another has the duty, and microseconds until it runs out.
-- What nearly every call does comes before all else, as in single.lua.
local worker, limit, lease = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local duty, scheduled = KEYS[1] .. ':duty', KEYS[1] .. ':scheduled'
local leader = redis.call('GET', duty)
if leader and leader ~= worker then return {-1, redis.call('PTTL', duty) * 1000} end
if leader then redis.call('PEXPIRE', duty, lease) end -- as a first write it needs no memory, and lets a full server go on

-- Microseconds to the next that is due, -1 if none is.
local function following()
  local score = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
  if not score then return -1 end
  local clock = redis.call('TIME')
  return math.max(0, score - clock[1] * 1000000 - clock[2])
end

local wait = following()
if leader and wait ~= 0 then return {0, wait} end
-- Uses prelude, jobs, lines, foreign, quarantine.
if not leader then
  go_on_when_full()
  call('SET', duty, worker, 'PX', lease)
  if wait ~= 0 then return {0, wait} end
end

local named = {}

local function has_queue(job)
  local queue = job[QUEUE]
  if named[queue] == nil then named[queue] = is_text(queue) end
  return named[queue]
end

local due = call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, limit)
reserve_places(#due)
local jobs, gone, later = {}, {}, {}
for _, ticket in ipairs(due) do
  local job = if_here(load(id_of(ticket)), ticket)
  if job and job[STATE] == SCHEDULED and has_queue(job) then
    job[STATE], job[PLACE], job[CHANGED_AT] = READY, back_place(), now
    if pcall(join, READY, job[QUEUE], job[PRIORITY], now, job[PLACE] .. job[ID]) then
      jobs[#jobs + 1], gone[#gone + 1] = job, ticket
    else -- somebody else has put another type of value in the place of its line: it waits for that, and nothing else does
      later[#later + 1], later[#later + 2] = now + AGAIN, ticket
    end
  else
    quarantine(ticket, SCHEDULED)
    gone[#gone + 1] = ticket
  end
end
flush_lines()
for _, job in ipairs(jobs) do
  count(SCHEDULED, job[QUEUE], -1)
  mark(job)
end
many('ZREM', scheduled, gone)
many('ZADD', scheduled, later)
flush_counts()
return {#jobs, following()}
