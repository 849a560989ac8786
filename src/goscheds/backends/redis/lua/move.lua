-- Uses prelude, jobs, lines, ending.
-- Cancels, reschedules or retries jobs from outside. ARGV: the moves (codec.py).
-- Reply: the state that each job is in afterwards, '' where there is none.
local batch, states = ARGV[1], {}

local function enqueue_again(job, execute_at, delay, meta)
  leave(job)
  job[PLACE] = back_place()
  job[EXECUTE_AT], job[STATE] = timing(execute_at, delay)
  join(job[STATE], job[QUEUE], job[PRIORITY], job[EXECUTE_AT], job[PLACE] .. job[ID])
  write(job, meta, job[RESULT_SIZE] > 0 and '' or nil)
end

local function cancel(job)
  if job[STATE] == ACTIVE then
    job[CANCELLING] = 1
    mark(job)
    call('SADD', cancelling_key(worker_of(job)), job[ID])
  elseif job[STATE] == SCHEDULED or job[STATE] == READY then
    leave(job)
    finish(job, CANCELLED, true)
  end
end

local function reschedule(job, execute_at, delay)
  if job[STATE] == SCHEDULED or job[STATE] == READY then enqueue_again(job, execute_at, delay) end
end

local function retry(job, _, _, meta)
  if job[STATE] == READY or job[STATE] == ACTIVE then return end
  if job[UNIQUE_SIZE] > 0 then
    call('HSETNX', PREFIX .. 'unique', unique_of(job), job[ID])
    if call('HGET', PREFIX .. 'unique', unique_of(job)) ~= job[ID] then return end
  end
  enqueue_again(job, 0, 0, meta)
end

local VERBS = {cancel = cancel, reschedule = reschedule, retry = retry}
go_on_when_full()
local position = 1
while position < #batch do
  local execute_at, delay, id_size, verb_size, meta_size, id_at = decode('>I8I8I2I2I4', batch, position)
  local verb_at = id_at + id_size
  local meta_at = verb_at + verb_size
  local job, verb = load(sub(batch, id_at, verb_at - 1)), sub(batch, verb_at, meta_at - 1)
  position = meta_at + meta_size
  if job then
    VERBS[verb](job, execute_at, delay, meta_size > 0 and sub(batch, meta_at, position - 1) or nil)
    flush_endings() -- a job may be moved twice in a batch: its structures must be right each time
    flush_lines()
  end
  states[#states + 1] = job and NAMES[job[STATE]] or ''
end
flush_counts()
return states
