-- Reports claimed jobs' outcomes, with their follow-up jobs. ARGV: worker, Outcomes (msgpack). Reply: the ids accepted.
local STATES = {done = 'done', dead = 'dead', cancelled = 'cancelled'}
local worker, outcomes = ARGV[1], cmsgpack.unpack(ARGV[2])
local accepted, released = {}, {}

local function apply(outcome, job)
  local id, changes = outcome.id, {'worker', ''}
  local function change(field, value) changes[#changes + 1], changes[#changes + 2] = field, value end
  if outcome.meta ~= '' then change('meta', outcome.meta) end
  if job[CANCELLING] == '1' then change('cancelling', '') end
  leave(id, job)
  local state = STATES[outcome.verb] or (job[CANCELLING] == '1' and 'cancelled')
  if state then
    if outcome.result ~= '' then change('result', outcome.result) end
    return settle(id, job, state, outcome.keep, changes)
  end
  local due, place
  if outcome.verb == 'retry' then
    state, due, place = enqueue(id, job[QUEUE], job[PRIORITY], outcome.execute_at, outcome.delay)
    change('execute_at', due)
    change('place', place)
  else
    state = 'ready'
    count(state, job[QUEUE], 1)
    released[#released + 1] = {id, job}
  end
  call('HSET', job_key(id), 'state', state, 'changed_at', now, unpack(changes))
end

for _, outcome in ipairs(outcomes) do
  local job = load(outcome.id, STANDING)
  local current = job and job[FENCE] ~= '0' and tonumber(job[FENCE]) == outcome.fence
  if current and (job[STATE] ~= 'active' or job[WORKER] == worker) then
    accepted[#accepted + 1] = outcome.id
    if job[STATE] == 'active' then -- otherwise this fence has settled it already, and the answer was lost
      apply(outcome, job)
      if #outcome.jobs > spare_places then reserve_places(#outcome.jobs) end
      for _, record in ipairs(outcome.jobs) do push(record) end
    end
  end
end
for i = #released, 1, -1 do
  local id, job = unpack(released[i])
  local place = front_place()
  call('HSET', job_key(id), 'place', place)
  put_in_front(job, place .. id)
end
flush()
return accepted
