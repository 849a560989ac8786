-- Uses prelude.
-- Reports claimed jobs' outcomes, with their follow-up jobs. ARGV: worker, the outcomes (codec.py). Reply: the numbers of
-- those that are refused, from 1. A verb is the number of the state that it leads to. What fails, since somebody else has put
-- another type of value where a job goes, leaves that job where it is, and the others are settled.
local worker, batch = ARGV[1], ARGV[2]
local refused, tickets, timed, deleted, gone, done, head, failure = {}, {}, {}, {}, {}, {}, nil, nil
go_on_when_full()
local number = number_of(worker)
for _, index in ipairs({'done', 'deadlines'}) do call('ZCARD', PREFIX .. index) end -- fails before anything is written

local function flush_deleted()
  for first = 1, #deleted, CHUNK do call('UNLINK', unpack(deleted, first, math.min(first + CHUNK - 1, #deleted))) end
  deleted, gone = {}, {}
end

-- What most outcomes do without, and takes long to build: an outcome with texts or jobs, or of a job with more to it; and
-- the end of a batch with such.
local function build()
  -- Uses jobs, lines, front, ending.
  local released = {}

  local function apply(job, verb, execute_at, delay, keep, meta, result)
    local state = verb >= DONE and verb or (job[CANCELLING] == 1 and CANCELLED) or verb
    if state == SCHEDULED then return rejoin(job, execute_at, delay, meta) end
    expect_change(job, state, keep)
    if state == READY then expect_front(job[QUEUE], job[PRIORITY]) end
    leave(job)
    if state >= DONE then
      finish(job, state, keep, meta, result)
    else
      count(READY, job[QUEUE], 1)
      job[STATE] = READY
      write(job, meta)
      released[#released + 1] = job
    end
  end

  -- Fails before follow-up jobs would.
  local function expect_lines(position, finish)
    if position < finish and spare_places == 0 then reserve_places(1) end
    while position < finish do
      local execute_at, delay, id_size, level, _, queue_size, unique_size, name_size, payload_size, meta_size, _, body =
        decode('>I8I8I2bI8I2I2I2I4I4I4', batch, position)
      local _, state = timing(execute_at, delay)
      if state == SCHEDULED then expect('ZCARD', PREFIX .. 'scheduled') end
      if state == READY then expect_line(sub(batch, body, body + queue_size - 1), level) end
      if unique_size > 0 then expect('HLEN', PREFIX .. 'unique') end
      position = body + queue_size + unique_size + name_size + payload_size + meta_size + id_size
    end
  end

  -- Settles a job of which so much was read; whether it can be taken apart.
  local function settle(id, value, verb, execute_at, delay, keep, meta, result, jobs_at, jobs_end)
    local job
    if #value <= GLANCE then job = open(id, value) else job = load(id) end
    if not job then return false end
    expect_lines(jobs_at, jobs_end)
    apply(job, verb, execute_at, delay, keep, meta, result)
    if jobs_at < jobs_end then
      flush_deleted() -- a follow-up job may have the id of one, or its unique key
      flush_endings()
      push(batch, jobs_at, jobs_end)
    end
    return true
  end

  local function flush()
    for i = #released, 1, -1 do
      local job = released[i]
      job[PLACE] = string.format('%016.0f', MIDDLE + call('DECR', PREFIX .. 'front'))
      mark(job)
      put_in_front(job, job[PLACE] .. job[ID])
    end
    flush_endings()
    flush_lines()
  end

  return settle, flush
end

-- Has a job be done of whom nothing but its numbers changes.
local function finish(key, ticket, queue, fence, timeout, keep)
  count(ACTIVE, queue, -1)
  tickets[#tickets + 1] = ticket
  if timeout ~= 0 then timed[#timed + 1] = ticket end
  if not keep then
    deleted[#deleted + 1], gone[key] = key, true
    return
  end
  count(DONE, queue, 1)
  done[#done + 1], done[#done + 2] = now, ticket
  head = head or pack(ENDED, DONE, 0, 1, now)
  call('SETRANGE', key, 0, fence == 1 and head or pack(ENDED, DONE, 0, fence, now)) -- 1 it is nearly every time
end

-- Whether a worker holds an active job: its own number says so, or, where somebody has deleted numbers, what it holds.
local function holds(holder, ticket) return holder == number or call('SISMEMBER', active_key(worker), ticket) == 1 end

local at, position, settle, flush = 0, 1, nil, nil
while position < #batch do
  local verb, keep, fence, execute_at, delay, id_size, meta_size, result_size, jobs_size, id_at =
    decode('>BBI8I8I8I2I4I4I4', batch, position)
  local meta_at = id_at + id_size
  local result_at = meta_at + meta_size
  local jobs_at = result_at + result_size
  local id = sub(batch, id_at, meta_at - 1)
  local key = JOB .. id
  local value = not gone[key] and redis.pcall('GETRANGE', key, 0, GLANCE)
  at, position = at + 1, jobs_at + jobs_size
  local state, cancelling, stored, holder, place, timeout, queue_size, unique_size, _ = nil, nil, 0, nil, nil, nil, nil, nil, nil
  if type(value) == 'string' and #value >= FORM_SIZE then
    state, cancelling, stored, _, holder, _, place, _, _, timeout, queue_size, unique_size =
      decode('>BBI8I8I4I8c16I8bI8I2I2', value)
  end
  local current = stored > 0 and stored == fence
  local ticket = place and place .. id
  if current and state == ACTIVE and holds(holder, ticket) then
    local queue_end = FORM_SIZE + queue_size
    if verb == DONE and meta_at == position and cancelling + unique_size == 0 and queue_end <= #value then
      finish(key, ticket, sub(value, FORM_SIZE + 1, queue_end), fence, timeout, keep == 1)
    else
      if not settle then settle, flush = build() end
      local fine, known = pcall(settle, id, value, verb, execute_at, delay, keep == 1,
        meta_size > 0 and sub(batch, meta_at, result_at - 1) or nil,
        result_size > 0 and sub(batch, result_at, jobs_at - 1) or nil, jobs_at, position)
      failure = failure or not fine and known
      local list = fine and known and tickets or refused
      list[#list + 1] = fine and known and ticket or at
    end
  elseif not current or state == ACTIVE then -- otherwise this fence has settled it, and the answer was lost
    refused[#refused + 1] = at
  end
end
if flush then flush() end
many('ZADD', PREFIX .. 'done', done)
many('ZREM', PREFIX .. 'deadlines', timed)
flush_deleted()
flush_counts()
many('SREM', active_key(worker), tickets)
if failure then error(failure, 0) end
return refused
