-- Takes or renews the duty, and makes due jobs ready. ARGV: worker, limit, how many milliseconds the duty lasts.
-- Reply: how many became ready, and microseconds to the next that is due, -1 if none is scheduled;
-- -1 while another has the duty, and microseconds until it runs out.
local worker, limit, lease = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local duty, scheduled = PREFIX .. 'duty', PREFIX .. 'scheduled'
local leader = call('GET', duty)
if leader and leader ~= worker then return {-1, call('PTTL', duty) * 1000} end
go_on_when_full()
call('SET', duty, worker, 'PX', lease)

local promoted = 0
local due = call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, limit)
if #due > 0 then reserve_places(#due) end
for _, ticket in ipairs(due) do
  local job = holder_of(ticket, STANDING)
  if job and job[STATE] == 'scheduled' then
    local id, place = id_of(ticket), back_place()
    call('HSET', job_key(id), 'state', 'ready', 'place', place, 'changed_at', now)
    count('scheduled', job[QUEUE], -1)
    count('ready', job[QUEUE], 1)
    join(job[QUEUE], job[PRIORITY], place .. id)
    promoted = promoted + 1
  end
end
many('ZREM', scheduled, due)
flush()
local following = call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
return {promoted, following and math.max(0, following - now) or -1}
