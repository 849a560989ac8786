-- Uses prelude, foreign.
-- Renews a worker's lease. ARGV: worker, lease (microseconds; 0 ends it), info.
-- Reply: 1 if it had no good lease, and the ids it holds that are to stop.
local worker, lease, info = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local lapsed = alive(worker) and 0 or 1
if type(redis.pcall('ZADD', PREFIX .. 'workers', now + lease, worker)) == 'table' then -- the server is full
  go_on_when_full()
  call('ZADD', PREFIX .. 'workers', now + lease, worker)
end
call('HSET', PREFIX .. 'info', worker, info)
if lease == 0 and call('GET', PREFIX .. 'duty') == worker then call('DEL', PREFIX .. 'duty') end
return {lapsed, texts(call('SMEMBERS', cancelling_key(worker)))}
