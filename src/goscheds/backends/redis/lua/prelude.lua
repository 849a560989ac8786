-- Put before every script. KEYS[1] is the namespace's hash tag, `{ns}`: every key is made from it, so that a namespace
-- is one slot of a cluster. Moments are microseconds by the server's own clock.
--
-- A job stands in its structure under a ticket: its place, 16 digits, and its id. It gets a new place whenever it joins
-- a line or the agenda, so the ticket that a cancelled job leaves in a line is told by its place, and dropped where it
-- is met: nothing ever searches a shared list. A doorbell is a ticket of no job: a newline and a queue stand for the id.

local PREFIX = KEYS[1] .. ':'
local JOB = PREFIX .. 'job:'
local NAMES = {'scheduled', 'ready', 'active', 'done', 'dead', 'cancelled'}

local call, sub = redis.call, string.sub
local pack, decode = struct.pack, struct.unpack
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function line_key(queue, level) return PREFIX .. 'queue:' .. level .. ':' .. queue end
local function levels_key(queue) return PREFIX .. 'levels:' .. queue end
local function active_key(worker) return PREFIX .. 'active:' .. worker end
local function taken_key(worker) return PREFIX .. 'taken:' .. worker end
local function cancelling_key(worker) return PREFIX .. 'cancelling:' .. worker end

local function many(command, key, values)
  for first = 1, #values, CHUNK do
    call(command, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- A server that is full refuses a script whose first write may need memory, and lets one go on whose first write needs
-- none. Pushes are refused; workers start and go on, and make room.
local function go_on_when_full() call('HDEL', PREFIX .. 'counts', '') end

local function alive(worker)
  return tonumber(call('ZSCORE', PREFIX .. 'workers', worker) or 0) > now
end

-- What stands for a worker in jobs; 0 for one that has none and is given none. They count up from the clock's seconds: when
-- somebody has deleted those that were given, no other worker gets them.
local function number_of(worker, give)
  local numbers = PREFIX .. 'numbers'
  local number = tonumber(call('HGET', numbers, worker) or 0) or 0
  if number > 0 or not give then return number end
  number = call('HINCRBY', numbers, '', 1)
  if number == 1 then number = tonumber(clock[1]) end
  call('HSET', numbers, worker, number, '', number)
  return number
end

-- What a script changes in shared structures is gathered, and written in few commands at its end.
local tally = {}

local function count(state, queue, change)
  local states = tally[queue] or {0, 0, 0, 0, 0, 0}
  tally[queue], states[state] = states, states[state] + change
end

local function flush_counts()
  for queue, states in pairs(tally) do
    for state, change in ipairs(states) do
      if change ~= 0 then
        local counts, field = PREFIX .. 'counts', NAMES[state] .. ':' .. queue
        if call('HINCRBY', counts, field, change) <= 0 then call('HDEL', counts, field) end
      end
    end
  end
  tally = {}
end
