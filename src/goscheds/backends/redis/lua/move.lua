-- Cancels, reschedules or retries jobs from outside. ARGV: Moves (msgpack).
-- Reply: the state that each job is in afterwards, '' where there is none.
local moves, states = cmsgpack.unpack(ARGV[1]), {}

local function enqueue_again(id, job, execute_at, delay, meta)
  leave(id, job)
  local state, due, place = enqueue(id, job[QUEUE], job[PRIORITY], execute_at, delay)
  local changes = meta ~= '' and {'meta', meta} or {}
  call('HSET', job_key(id), 'state', state, 'changed_at', now, 'execute_at', due, 'place', place, 'result', '',
    unpack(changes))
  return state
end

local function cancel(id, job)
  if job[STATE] == 'active' then
    call('HSET', job_key(id), 'cancelling', 1)
    call('SADD', cancelling_key(job[WORKER]), id)
  elseif job[STATE] == 'scheduled' or job[STATE] == 'ready' then
    leave(id, job)
    settle(id, job, 'cancelled', true, {})
    return 'cancelled'
  end
  return job[STATE]
end

local function reschedule(id, job, move)
  if job[STATE] ~= 'scheduled' and job[STATE] ~= 'ready' then return job[STATE] end
  return enqueue_again(id, job, move.execute_at, move.delay, '')
end

local function retry(id, job, move)
  if job[STATE] == 'ready' or job[STATE] == 'active' then return job[STATE] end
  if job[UNIQUE] ~= '' then
    call('HSETNX', PREFIX .. 'unique', job[UNIQUE], id)
    if call('HGET', PREFIX .. 'unique', job[UNIQUE]) ~= id then return job[STATE] end
  end
  return enqueue_again(id, job, 0, 0, move.meta)
end

local VERBS = {cancel = cancel, reschedule = reschedule, retry = retry}
go_on_when_full()
for i, move in ipairs(moves) do
  local job = load(move.id, STANDING)
  states[i] = job and VERBS[move.verb](move.id, job, move) or ''
  flush() -- a job may be moved twice in a batch: its structures must be right each time
end
return states
