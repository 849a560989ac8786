-- Put before every script. KEYS[1] is the namespace's hash tag, `{ns}`: every key is made from it, so that a namespace
-- is one slot of a cluster. Moments are microseconds by the server's own clock.
--
-- A job stands in its structure under a ticket: its place, 16 digits, and its id. It gets a new place whenever it joins
-- a line or the agenda, so the ticket that a cancelled job leaves in a line is told by its place, and dropped where it
-- is met: nothing ever searches a shared list. A doorbell is a ticket of no job: a newline and a queue stand for the id.

local PREFIX = KEYS[1] .. ':'
local FIELDS = {
  'state', 'fence', 'worker', 'place', 'queue', 'priority', 'timeout', 'unique_key', 'cancelling', 'name',
  'execute_at', 'payload', 'meta', 'pushed_at', 'changed_at', 'result',
}
local STATE, FENCE, WORKER, PLACE, QUEUE, PRIORITY, TIMEOUT, UNIQUE, CANCELLING, NAME = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local CHANGED_AT = 15
local STANDING = {unpack(FIELDS, 1, NAME)} -- what decisions are made by; the rest may be long
local MIDDLE = 4e15 -- places at the back of lines count up from here, those at the front count down
local CHUNK = 4000 -- even; Lua's `unpack` ends at about 8,000

local call = redis.call
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function job_key(id) return PREFIX .. 'job:' .. id end
local function line_key(queue, level) return PREFIX .. 'queue:' .. level .. ':' .. queue end
local function levels_key(queue) return PREFIX .. 'levels:' .. queue end
local function active_key(worker) return PREFIX .. 'active:' .. worker end
local function cancelling_key(worker) return PREFIX .. 'cancelling:' .. worker end
local function place_of(ticket) return string.sub(ticket, 1, 16) end
local function id_of(ticket) return string.sub(ticket, 17) end

local function many(command, key, values)
  for first = 1, #values, CHUNK do
    call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- A server that is full refuses a script whose first write may need memory, and lets one go on whose first write needs
-- none. Pushes are refused; workers go on, and make room.
local function go_on_when_full() call('HDEL', PREFIX .. 'counts', '') end

local function alive(worker)
  return tonumber(call('ZSCORE', PREFIX .. 'workers', worker) or 0) > now
end

local function paused(queue)
  return call('SISMEMBER', PREFIX .. 'paused', queue) == 1
end

-- A job's fields by the numbers above, or false.
local function load(id, fields)
  local job = call('HMGET', job_key(id), unpack(fields))
  return job[STATE] and job
end

-- The job of a ticket, or false where the ticket was left behind.
local function holder_of(ticket, fields)
  local job = load(id_of(ticket), fields)
  return job and job[PLACE] == place_of(ticket) and job
end

-- What a script changes in shared structures is gathered, and written by `flush` in few commands.
local tally, lines, agenda, settled, deadlines, freed = {}, {}, {}, {}, {}, {}

local function count(state, queue, change)
  local field = state .. ':' .. queue
  tally[field] = (tally[field] or 0) + change
end

local last_place, spare_places = 0, 0

local function reserve_places(n)
  last_place, spare_places = call('INCRBY', PREFIX .. 'back', n) - n, n
end

local function back_place()
  if spare_places == 0 then reserve_places(1) end
  last_place, spare_places = last_place + 1, spare_places - 1
  return string.format('%016.0f', MIDDLE + last_place)
end

local function front_place()
  return string.format('%016.0f', MIDDLE + call('DECR', PREFIX .. 'front'))
end

local function join(queue, level, ticket)
  local key = line_key(queue, level)
  local line = lines[key] or {queue = queue, level = level, tickets = {}}
  lines[key] = line
  line.tickets[#line.tickets + 1] = ticket
end

-- Idle workers block on level 0 alone: wakes one for what stands in another level.
local function ring(queue)
  local line = line_key(queue, 0)
  if call('EXISTS', line) == 0 then call('RPUSH', line, back_place() .. '\n' .. queue) end
end

-- Wakes the next worker for what is left in other levels than 0.
local function pass_on(queue)
  for _, level in ipairs(call('ZRANGE', levels_key(queue), 0, -1)) do
    if level ~= '0' and call('EXISTS', line_key(queue, level)) == 1 then return ring(queue) end
  end
end

local function put_in_front(job, ticket)
  local queue, level = job[QUEUE], job[PRIORITY]
  call('LPUSH', line_key(queue, level), ticket)
  call('ZADD', levels_key(queue), level, level)
  if level ~= '0' then ring(queue) end
end

-- Makes a job ready or scheduled, due as Record counts it: its new state, when it is due, and its place.
local function enqueue(id, queue, level, execute_at, delay)
  local due = (execute_at > 0 and execute_at or now) + delay
  local state, place = 'ready', back_place()
  if due > now then
    state = 'scheduled'
    agenda[#agenda + 1], agenda[#agenda + 2] = due, place .. id
  else
    join(queue, level, place .. id)
  end
  count(state, queue, 1)
  return state, due, place
end

-- Stores a new job, unless its id is there or a live job holds its unique key: its own id, or the holder's.
local function push(record)
  local id, key = record.id, job_key(record.id)
  if call('EXISTS', key) == 1 then return id end
  if record.unique_key ~= '' and call('HSETNX', PREFIX .. 'unique', record.unique_key, id) == 0 then
    return call('HGET', PREFIX .. 'unique', record.unique_key)
  end
  local state, due, place = enqueue(id, record.queue, record.priority, record.execute_at, record.delay)
  call('HSET', key, 'state', state, 'fence', 0, 'place', place, 'queue', record.queue, 'priority', record.priority,
    'timeout', record.timeout, 'unique_key', record.unique_key, 'name', record.name, 'execute_at', due,
    'payload', record.payload, 'meta', record.meta, 'pushed_at', now, 'changed_at', now)
  return id
end

-- Takes a job out of the structure where its state has it. In a line its ticket stays behind.
local function leave(id, job)
  local state, ticket = job[STATE], job[PLACE] .. id
  count(state, job[QUEUE], -1)
  if state == 'active' then
    call('LREM', active_key(job[WORKER]), 1, ticket)
    if job[TIMEOUT] ~= '0' then freed[#freed + 1] = ticket end
    if job[CANCELLING] == '1' then call('SREM', cancelling_key(job[WORKER]), id) end
  elseif state ~= 'ready' then
    call('ZREM', PREFIX .. state, ticket)
  end
end

-- Ends a job that has left its place.
local function settle(id, job, state, keep, changes)
  if job[UNIQUE] ~= '' then call('HDEL', PREFIX .. 'unique', job[UNIQUE]) end
  if not keep then return call('UNLINK', job_key(id)) end
  local index = settled[state] or {}
  settled[state] = index
  index[#index + 1], index[#index + 2] = now, job[PLACE] .. id
  count(state, job[QUEUE], 1)
  call('HSET', job_key(id), 'state', state, 'changed_at', now, unpack(changes))
end

-- Puts a ready or lost job into a worker's hands under a new fence; its ticket is in the worker's list, or put there.
local function take(ticket, job, worker, timed)
  count(job[STATE], job[QUEUE], -1)
  count('active', job[QUEUE], 1)
  if timed and job[TIMEOUT] ~= '0' then
    deadlines[#deadlines + 1], deadlines[#deadlines + 2] = now + job[TIMEOUT], ticket
  end
  job[STATE], job[FENCE], job[WORKER], job[CHANGED_AT] = 'active', job[FENCE] + 1, worker, now
  call('HSET', job_key(id_of(ticket)), 'state', 'active', 'fence', job[FENCE], 'worker', worker, 'changed_at', now)
end

-- Gives a ticket that BLMOVE took back to the head of its line; nothing if the claim was finished meanwhile.
local function put_back(worker, ticket)
  local job = holder_of(ticket, STANDING)
  if job and job[STATE] == 'active' and job[WORKER] == worker then return end
  if call('LREM', active_key(worker), 1, ticket) == 1 and job and job[STATE] == 'ready' then
    put_in_front(job, ticket)
  end
end

local function is_asked_for(job, queue, name)
  return (queue == '' or job[QUEUE] == queue) and (name == '' or job[NAME] == name)
end

-- A job as Python reads it: FIELDS, then the id, then what else is said of it.
local function row(id, job, remark)
  job[#FIELDS + 1], job[#FIELDS + 2] = id, remark
  return job
end

local function flush_agenda()
  if #agenda == 0 then return end
  local before = call('ZRANGE', PREFIX .. 'scheduled', 0, 0, 'WITHSCORES')[2]
  many('ZADD', PREFIX .. 'scheduled', agenda)
  if before ~= call('ZRANGE', PREFIX .. 'scheduled', 0, 0, 'WITHSCORES')[2] then call('PUBLISH', PREFIX .. 'due', '') end
end

local function flush()
  for key, line in pairs(lines) do
    many('RPUSH', key, line.tickets)
    call('ZADD', levels_key(line.queue), line.level, line.level)
    if tonumber(line.level) ~= 0 then ring(line.queue) end
  end
  flush_agenda()
  many('ZREM', PREFIX .. 'deadlines', freed)
  many('ZADD', PREFIX .. 'deadlines', deadlines)
  for state, index in pairs(settled) do many('ZADD', PREFIX .. state, index) end
  for field, change in pairs(tally) do
    if change ~= 0 and call('HINCRBY', PREFIX .. 'counts', field, change) == 0 then
      call('HDEL', PREFIX .. 'counts', field)
    end
  end
  tally, lines, agenda, settled, deadlines, freed = {}, {}, {}, {}, {}, {}
end
