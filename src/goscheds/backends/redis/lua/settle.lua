-- Uses prelude.
-- Reports claimed jobs' outcomes, with their follow-up jobs. ARGV: worker, the outcomes (codec.py). Reply: the numbers of
-- those that are refused, from 1. A verb is the number of the state that it leads to.
local worker, batch = ARGV[1], ARGV[2]
local number, refused, tickets, timed, deleted, gone, settled, heads = nil, {}, {}, {}, {}, {}, {}, {}
go_on_when_full()
number = number_of(worker)

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
    leave(job)
    local state = verb >= DONE and verb or (job[CANCELLING] == 1 and CANCELLED)
    if state then return finish(job, state, keep, meta, result) end
    if verb == SCHEDULED then
      job[PLACE] = back_place()
      job[EXECUTE_AT], job[STATE] = timing(execute_at, delay)
      join(job[STATE], job[QUEUE], job[PRIORITY], job[EXECUTE_AT], job[PLACE] .. job[ID])
      write(job, meta)
    else
      count(READY, job[QUEUE], 1)
      job[STATE] = READY
      write(job, meta)
      released[#released + 1] = job
    end
  end

  -- Settles a job of which so much was read; whether it can be taken apart.
  local function settle(id, value, verb, execute_at, delay, keep, meta, result, jobs_at, jobs_end)
    local job
    if #value <= GLANCE then job = open(id, value) else job = load(id) end
    if not job then return false end
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

-- Ends a job of whom nothing but its numbers changes.
local function finish(key, ticket, queue, verb, fence, timeout, keep)
  count(ACTIVE, queue, -1)
  if timeout ~= 0 then timed[#timed + 1] = ticket end
  if not keep then
    deleted[#deleted + 1], gone[key] = key, true
    return
  end
  count(verb, queue, 1)
  local index, head = settled[verb] or {}, fence == 1 and heads[verb] or pack(ENDED, verb, 0, fence, now)
  settled[verb] = index
  if fence == 1 then heads[verb] = head end -- which it is nearly every time
  index[#index + 1], index[#index + 2] = now, ticket
  call('SETRANGE', key, 0, head)
end

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
  if current and state == ACTIVE and holder == number then
    local ticket, queue_end = place .. id, FORM_SIZE + queue_size
    if verb >= DONE and meta_at == position and cancelling + unique_size == 0 and queue_end <= #value then
      tickets[#tickets + 1] = ticket
      finish(key, ticket, sub(value, FORM_SIZE + 1, queue_end), verb, fence, timeout, keep == 1)
    else
      if not settle then settle, flush = build() end
      local done = settle(id, value, verb, execute_at, delay, keep == 1,
        meta_size > 0 and sub(batch, meta_at, result_at - 1) or nil,
        result_size > 0 and sub(batch, result_at, jobs_at - 1) or nil, jobs_at, position)
      local list = done and tickets or refused
      list[#list + 1] = done and ticket or at
    end
  elseif not current or state == ACTIVE then -- otherwise this fence has settled it, and the answer was lost
    refused[#refused + 1] = at
  end
end
many('SREM', active_key(worker), tickets)
many('ZREM', PREFIX .. 'deadlines', timed)
flush_deleted()
for state, index in pairs(settled) do many('ZADD', PREFIX .. NAMES[state], index) end
if flush then flush() end
flush_counts()
return refused
