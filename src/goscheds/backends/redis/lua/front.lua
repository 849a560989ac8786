-- Going back to the head of a line.

-- Wakes the next worker for what is left in other levels than 0.
local function pass_on(queue)
  for _, level in ipairs(call('ZRANGE', levels_key(queue), 0, -1)) do
    if call('EXISTS', line_key(queue, level)) == 1 then return ring(queue) end
  end
end

-- Fails where to put a job at the head of its line would.
local function expect_front(queue, level)
  if not expected.front then call('INCRBY', PREFIX .. 'front', 0) end
  expected.front = true
  expect_line(queue, level)
  if level ~= 0 and spare_places == 0 then reserve_places(1) end
end

-- Puts a ready job at the head of its line.
local function put_in_front(job, ticket)
  local queue, level = job[QUEUE], job[PRIORITY]
  call('LPUSH', line_key(queue, level), ticket)
  if level ~= 0 then
    call('ZADD', levels_key(queue), level, level)
    ring(queue)
  end
end
