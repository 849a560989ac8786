-- Claims ready jobs, higher levels first. ARGV: queue, worker, limit, the ticket that BLMOVE took or '', or '?' right behind
-- a BLMOVE, if it took one.
-- Reply: what to do if nothing was claimed ('block'; 'rest': paused, or no lease; 'again': only left tickets were met);
-- if something was, the tickets, the jobs as they were before, and the moment.
if ARGV[4] == '?' and redis.call('EXISTS', KEYS[1] .. ':taken:' .. ARGV[2]) == 0 then return {'block'} end
-- Uses prelude.
local queue, worker, limit, taken = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

-- What few claims need: to build it takes longer than to claim a job.
local function seldom()
  -- Uses jobs, lines, front, foreign, quarantine, unclaimed.
  return {pass_on = pass_on, moved = moved, put_back = put_back, quarantine = quarantine}
end

local more = taken ~= '' and seldom()
if taken == '?' then taken = more.moved(worker, queue) end
if not taken then return {'block'} end
if taken ~= '' then more.put_back(worker, taken) end
if call('SISMEMBER', PREFIX .. 'paused', queue) == 1 then return {'rest'} end
if not alive(worker) then
  seldom().pass_on(queue)
  return {'rest'}
end

local tickets, jobs, deadlines, tries = {}, {}, {}, limit + 1000
local met, number, first = {}, nil, nil
local drawn, emptied, marks = {}, {}, {} -- tickets by line; levels without a line; heads of jobs by key

-- Takes a job as it is stored; whether it can be taken apart.
local function take(ticket, key, value)
  if not value or #value < FORM_SIZE then return false end
  local state, _, fence, _, _, _, place, _, _, timeout, queue_size, unique_size, name_size, payload_size, meta_size,
    result_size = decode(FORM, value)
  if #value ~= FORM_SIZE + queue_size + unique_size + name_size + payload_size + meta_size + result_size then
    return false
  end
  if state == READY and place == sub(ticket, 1, 16) and not met[ticket] then
    met[ticket] = true
    marks[key] = fence == 0 and first or pack(TAKEN, ACTIVE, 0, math.min(fence, MAX_FENCE - 1) + 1, now, number)
    if timeout ~= 0 then deadlines[#deadlines + 1], deadlines[#deadlines + 2] = now + timeout, ticket end
    tickets[#tickets + 1], jobs[#jobs + 1] = ticket, value
  end
  return state >= SCHEDULED and state <= CANCELLED
end

local function take_all(popped)
  number = number or number_of(worker, true)
  first = first or pack(TAKEN, ACTIVE, 0, 1, now, number)
  local keys = {}
  for i, ticket in ipairs(popped) do keys[i] = JOB .. sub(ticket, 17) end
  local values = call('MGET', unpack(keys))
  for i, ticket in ipairs(popped) do
    if not take(ticket, keys[i], values[i]) then
      more = more or seldom()
      more.quarantine(ticket, READY, queue)
    end
  end
end

-- Whether the line has no more.
local function claim_from(level)
  local line = line_key(queue, level)
  while #tickets < limit and tries > 0 do
    local asked = math.min(limit - #tickets, CHUNK)
    local popped = call('LPOP', line, asked) or {}
    drawn[#drawn + 1] = {line, popped}
    if #popped > 0 then take_all(popped) end
    tries = tries - #popped
    if #popped < asked then return true end
  end
end

-- Takes what there is from all lines, and has the worker hold it.
local function claim()
  local levels, middle = call('ZREVRANGE', levels_key(queue), 0, -1), false
  for _, level in ipairs(levels) do
    if not middle and (tonumber(level) or 0) < 0 then
      middle = true
      claim_from(0)
    end
    if claim_from(level) then emptied[#emptied + 1] = level end
  end
  if not middle then claim_from(0) end
  many('ZADD', PREFIX .. 'deadlines', deadlines)
  many('SADD', active_key(worker), tickets)
  return #levels > 0
end

-- Somebody else has put another type of value where that would go: nothing was taken.
local function undo()
  for i = #drawn, 1, -1 do
    local line, popped = unpack(drawn[i])
    for n = #popped, 1, -1 do call('LPUSH', line, popped[n]) end
  end
end

local claimed, others = pcall(claim)
if not claimed then
  undo()
  flush_counts() -- of what was no job, and is dead
  error(others, 0)
end
for key, head in pairs(marks) do call('SETRANGE', key, 0, head) end
many('ZREM', levels_key(queue), emptied)
count(READY, queue, -#tickets)
count(ACTIVE, queue, #tickets)
flush_counts()
if #tickets == limit and others then seldom().pass_on(queue) end
if #tickets == 0 then return {tries <= 0 and 'again' or 'block'} end
return {'block', tickets, jobs, now}
