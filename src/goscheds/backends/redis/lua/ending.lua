-- Leaving a state, and ending.
local settled, overdue, freed = {}, {}, {}

-- Takes a job out of the structure where its state has it. In a line its ticket stays behind.
local function leave(job)
  local state, ticket = job[STATE], job[PLACE] .. job[ID]
  count(state, job[QUEUE], -1)
  if state == ACTIVE then
    if job[TIMEOUT] ~= 0 then overdue[#overdue + 1] = ticket end
    if job[CANCELLING] == 1 then call('SREM', cancelling_key(worker_of(job)), job[ID]) end
  elseif state ~= READY then
    call('ZREM', PREFIX .. NAMES[state], ticket)
  end
end

-- Writes a job with other texts where they are given: nil keeps what is stored.
local function rewrite(job, meta, result)
  local value = whole(job)
  local kept = FORM_SIZE + job[QUEUE_SIZE] + job[UNIQUE_SIZE] + job[NAME_SIZE] + job[PAYLOAD_SIZE]
  meta = meta or sub(value, kept + 1, kept + job[META_SIZE])
  result = result or sub(value, kept + job[META_SIZE] + 1)
  job[META_SIZE], job[RESULT_SIZE] = #meta, #result
  local form = pack(FORM, unpack(job, 1, RESULT_SIZE))
  call('SET', JOB .. job[ID], form .. sub(value, FORM_SIZE + 1, kept) .. meta .. result)
end

-- Writes a job whose numbers changed, and its texts where they are given.
local function write(job, meta, result)
  job[CHANGED_AT] = now
  if meta or result then rewrite(job, meta, result) else mark(job) end
end

-- Fails where a job's way from its place into a state would.
local function expect_change(job, state, keep)
  if job[STATE] == ACTIVE then
    if job[TIMEOUT] ~= 0 then expect('ZCARD', PREFIX .. 'deadlines') end
    if job[CANCELLING] == 1 then expect('SCARD', cancelling_key(worker_of(job))) end
  elseif job[STATE] ~= READY then
    expect('ZCARD', PREFIX .. NAMES[job[STATE]])
  end
  if state < DONE then return end
  if job[UNIQUE_SIZE] > 0 then expect('HLEN', PREFIX .. 'unique') end
  if keep then expect('ZCARD', PREFIX .. NAMES[state]) end
end

-- Has a job leave its place for a line or the agenda, to be due at a moment and a while later.
local function rejoin(job, execute_at, delay, meta, result)
  local place, due, state = back_place(), timing(execute_at, delay)
  expect_change(job, state)
  join(state, job[QUEUE], job[PRIORITY], due, place .. job[ID])
  leave(job)
  job[PLACE], job[EXECUTE_AT], job[STATE] = place, due, state
  write(job, meta, job[RESULT_SIZE] > 0 and result or nil)
end

-- Ends a job that has left its place.
local function finish(job, state, keep, meta, result)
  if job[UNIQUE_SIZE] > 0 then freed[#freed + 1] = unique_of(job) end
  if not keep then return call('UNLINK', JOB .. job[ID]) end
  local index = settled[state] or {}
  settled[state] = index
  index[#index + 1], index[#index + 2] = now, job[PLACE] .. job[ID]
  count(state, job[QUEUE], 1)
  job[STATE], job[CANCELLING] = state, 0
  write(job, meta, result)
end

local function flush_endings()
  many('ZREM', PREFIX .. 'deadlines', overdue)
  many('HDEL', PREFIX .. 'unique', freed)
  for state, index in pairs(settled) do many('ZADD', PREFIX .. NAMES[state], index) end
  settled, overdue, freed = {}, {}, {}
end
