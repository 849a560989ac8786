-- Joining lines and the agenda.
local lines, agenda = {}, {}
local last_place, spare_places = 0, 0

local function reserve_places(n)
  last_place, spare_places = call('INCRBY', PREFIX .. 'back', n) - n, n
end

local function back_place()
  if spare_places == 0 then reserve_places(1) end
  last_place, spare_places = last_place + 1, spare_places - 1
  return BEFORE_BACK .. BACK + last_place
end

-- When a job is due that is to be at a moment (0 = now) and a while later, as Record counts it; and its state then.
local function timing(execute_at, delay)
  local due = (execute_at > 0 and execute_at or now) + delay
  return due, due > now and SCHEDULED or READY
end

local expected = {}

-- Fails where somebody else has put another type of value, as what is done there later would, halfway.
local function expect(command, key)
  if not expected[key] then call(command, key) end
  expected[key] = true
end

local function expect_line(queue, level)
  expect('LLEN', line_key(queue, level))
  if level ~= 0 then expect('ZCARD', levels_key(queue)) end
end

local run_queue, run_level, run -- the line that the last job joined: the next one often joins the same

-- Has a job join its line, or the agenda, when they are flushed. Whatever may fail does so here.
local function join(state, queue, level, due, ticket)
  if state == SCHEDULED then
    expect('ZCARD', PREFIX .. 'scheduled')
    count(SCHEDULED, queue, 1)
    agenda[#agenda + 1], agenda[#agenda + 2] = due, ticket
    return
  end
  if queue ~= run_queue or level ~= run_level then
    local levels = lines[queue] or {}
    expect_line(queue, level)
    run_queue, run_level, run = queue, level, levels[level] or {}
    lines[queue], levels[level] = levels, run
  end
  run[#run + 1] = ticket
end

-- Idle workers block on level 0 alone: wakes one for what stands in another level.
local function ring(queue)
  local line = line_key(queue, 0)
  if call('EXISTS', line) == 0 then call('RPUSH', line, back_place() .. '\n' .. queue) end
end

local fresh = {} -- tables with a key, or false, and what else for each job that this script stored

-- Stores a job whose unique key is free and whose id is new; if not, the id that has them.
local function store_unique(id, unique, value)
  if call('EXISTS', JOB .. id) == 1 then return id end
  if call('HSETNX', PREFIX .. 'unique', unique, id) == 0 then
    local holder = call('HGET', PREFIX .. 'unique', unique)
    if call('EXISTS', JOB .. holder) == 1 then return holder end
    call('HSET', PREFIX .. 'unique', unique, id) -- somebody else deleted the holder
  end
  call('SET', JOB .. id, value)
  fresh[#fresh + 1] = {JOB .. id, value}
end

-- Jobs of a batch without unique keys, that are stored in few commands: key and value of each, one after the other, and
-- how each joins.
local stored, joining, met, waiting = {}, {}, {}, 0

local function flush_stored()
  if waiting == 0 then return end
  local all = call('MSETNX', unpack(stored)) == 1
  for i = 1, all and 0 or waiting * 2, 2 do
    if not call('SET', stored[i], stored[i + 1], 'NX') then stored[i] = false end
  end
  fresh[#fresh + 1] = stored
  for i = 1, waiting do
    if stored[i * 2 - 1] then join(unpack(joining, i * 5 - 4, i * 5)) end
  end
  stored, joining, met, waiting = {}, {}, {}, 0
end

-- Pushes the jobs of a batch, from a position in it to another: their ids, or of those that hold their unique keys.
-- Nothing if no key was held.
local function push(batch, position, finish)
  local ids, held, n, head, head_due = {}, false, 0, nil, nil
  local tail = pack('>I8', now)
  while position < finish do
    local execute_at, delay, id_size, level, _, queue_size, unique_size, name_size, payload_size, meta_size, _, body =
      decode('>I8I8I2bI8I2I2I2I4I4I4', batch, position)
    local last = body + queue_size + unique_size + name_size + payload_size + meta_size
    local id, queue, place = sub(batch, last, last + id_size - 1), sub(batch, body, body + queue_size - 1), back_place()
    local due, state = timing(execute_at, delay)
    if due ~= head_due then head, head_due = pack('>BBI8I8I4I8', state, 0, 0, now, 0, due), due end
    local value = head .. place .. tail .. sub(batch, position + 18, last - 1)
    position, n = last + id_size, n + 1
    ids[n] = id
    if unique_size > 0 then
      flush_stored()
      local holder = store_unique(id, sub(batch, body + queue_size, body + queue_size + unique_size - 1), value)
      if holder then
        ids[n], held = holder, true
      else
        join(state, queue, level, due, place .. id)
      end
    elseif not met[id] then
      met[id] = true
      joining[waiting * 5 + 1], joining[waiting * 5 + 2], joining[waiting * 5 + 3] = state, queue, level
      joining[waiting * 5 + 4], joining[waiting * 5 + 5] = due, place .. id
      stored[waiting * 2 + 1], stored[waiting * 2 + 2] = JOB .. id, value
      waiting = waiting + 1
      if waiting * 2 == CHUNK then flush_stored() end
    end
  end
  flush_stored()
  return held and ids or nil
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
      count(READY, queue, #tickets)
      if level ~= 0 then
        call('ZADD', levels_key(queue), level, level)
        others = true
      end
    end
    if others then ring(queue) end
  end
  lines, run_queue = {}, nil
  flush_agenda()
end
