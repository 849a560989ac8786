-- Joining lines and the agenda.
local lines, agenda = {}, {}
local last_place, spare_places = 0, 0

local function reserve_places(n)
  last_place, spare_places = call('INCRBY', PREFIX .. 'back', n) - n, n
end

local function back_place()
  if spare_places == 0 then reserve_places(1) end
  last_place, spare_places = last_place + 1, spare_places - 1
  return string.format('%.0f', MIDDLE + last_place)
end

-- When a job is due that is to be at a moment (0 = now) and a while later, as Record counts it; and its state then.
local function timing(execute_at, delay)
  local due = (execute_at > 0 and execute_at or now) + delay
  return due, due > now and SCHEDULED or READY
end

-- Has a job join its line, or the agenda.
local function join(state, queue, level, due, ticket)
  count(state, queue, 1)
  if state == SCHEDULED then
    agenda[#agenda + 1], agenda[#agenda + 2] = due, ticket
  else
    local levels = lines[queue] or {}
    local tickets = levels[level] or {}
    lines[queue], levels[level] = levels, tickets
    tickets[#tickets + 1] = ticket
  end
end

-- Idle workers block on level 0 alone: wakes one for what stands in another level.
local function ring(queue)
  local line = line_key(queue, 0)
  if call('EXISTS', line) == 0 then call('RPUSH', line, back_place() .. '\n' .. queue) end
end

-- Stores a job whose unique key is free and whose id is new; if not, the id that has them.
local function store(id, unique, value)
  if unique == '' then return not call('SET', JOB .. id, value, 'NX') and id end
  if call('EXISTS', JOB .. id) == 1 then return id end
  if call('HSETNX', PREFIX .. 'unique', unique, id) == 0 then
    local holder = call('HGET', PREFIX .. 'unique', unique)
    if call('EXISTS', JOB .. holder) == 1 then return holder end
    call('HSET', PREFIX .. 'unique', unique, id) -- somebody else deleted the holder
  end
  call('SET', JOB .. id, value)
end

-- Pushes the jobs of a batch, from a position in it to another: their ids, or of those that are there instead.
-- Nothing if all were stored.
local function push(batch, position, finish)
  local ids, refused = {}, false
  while position < finish do
    local execute_at, delay, level, _, queue_size, unique_size, name_size, payload_size, meta_size, id_size, body =
      decode('>I8I8bI8I2I2I2I4I4I2', batch, position)
    local numbers, last = sub(batch, position + 16, body - 3), body + queue_size + unique_size + name_size
    last = last + payload_size + meta_size
    position = last + id_size
    local id, queue, place = sub(batch, last, position - 1), sub(batch, body, body + queue_size - 1), back_place()
    local unique = sub(batch, body + queue_size, body + queue_size + unique_size - 1)
    local due, state = timing(execute_at, delay)
    local head = pack(HEAD, state, 0, 0, place, due, now, now, 0, 0)
    local other = store(id, unique, head .. numbers .. sub(batch, body, last - 1))
    if not other then join(state, queue, level, due, place .. id) end
    ids[#ids + 1], refused = other or id, refused or other
  end
  return refused and ids or nil
end

local function flush_agenda()
  if #agenda == 0 then return end
  local scheduled = PREFIX .. 'scheduled'
  local before = call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2]
  many('ZADD', scheduled, agenda)
  if before ~= call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2] then call('PUBLISH', PREFIX .. 'due', '') end
  agenda = {}
end

-- Line 0 always counts as there; the others are listed while they may have tickets.
local function flush_lines()
  for queue, levels in pairs(lines) do
    local others = false
    for level, tickets in pairs(levels) do
      many('RPUSH', line_key(queue, level), tickets)
      if level ~= 0 then
        call('ZADD', levels_key(queue), level, level)
        others = true
      end
    end
    if others then ring(queue) end
  end
  lines = {}
  flush_agenda()
end
