-- Uses prelude, jobs, lines, ending.
-- Cancels, reschedules or retries jobs from outside. ARGV: id, verb, moment, delay and account ('' = as it is) of each.
-- Reply: the state that each job is in afterwards, '' where there is none.
local states = {}

local function cancel(job)
  if job[STATE] == ACTIVE then
    job[CANCELLING] = 1
    mark(job)
    call('SADD', cancelling_key(worker_of(job)), job[ID])
  elseif job[STATE] == SCHEDULED or job[STATE] == READY then
    expect_change(job, CANCELLED, true)
    leave(job)
    finish(job, CANCELLED, true)
  end
end

local function reschedule(job, execute_at, delay)
  if job[STATE] == SCHEDULED or job[STATE] == READY then rejoin(job, execute_at, delay, nil, '') end
end

local function retry(job, _, _, meta)
  if job[STATE] == READY or job[STATE] == ACTIVE then return end
  local unique = job[UNIQUE_SIZE] > 0 and unique_of(job)
  if unique and (call('HGET', PREFIX .. 'unique', unique) or job[ID]) ~= job[ID] then return end
  rejoin(job, 0, 0, meta, '')
  if unique then call('HSET', PREFIX .. 'unique', unique, job[ID]) end
end

local VERBS = {cancel = cancel, reschedule = reschedule, retry = retry}
go_on_when_full()
for i = 1, #ARGV, 5 do
  local job, meta = load(ARGV[i]), ARGV[i + 4]
  if job then
    local moved, failure = pcall(VERBS[ARGV[i + 1]], job, tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]),
      meta ~= '' and meta or nil)
    if not moved then
      flush_counts()
      error(failure, 0)
    end
    flush_endings() -- a job may be moved twice in a batch: its structures must be right each time
    flush_lines()
  end
  states[#states + 1] = job and NAMES[job[STATE]] or ''
end
flush_counts()
return states
