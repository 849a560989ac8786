-- Uses prelude, jobs, lines, front, ending.
-- Reports claimed jobs' outcomes, with their follow-up jobs. ARGV: worker, the outcomes (codec.py). Reply: the numbers of
-- those that are refused, from 1.
local STATES = {done = DONE, dead = DEAD, cancelled = CANCELLED}
local worker, batch = ARGV[1], ARGV[2]
local list, refused, released = active_key(worker), {}, {}

local function apply(job, verb, execute_at, delay, keep, meta, result)
  leave(job)
  local state = STATES[verb] or (job[CANCELLING] == 1 and CANCELLED)
  if state then return finish(job, state, keep, meta, result) end
  if verb == 'retry' then
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

local number, position = 0, 1
while position < #batch do
  local fence, execute_at, delay, keep, id_size, verb_size, meta_size, result_size, jobs_size, id_at =
    decode('>I8I8I8BI2I2I4I4I4', batch, position)
  local verb_at = id_at + id_size
  local meta_at = verb_at + verb_size
  local result_at = meta_at + meta_size
  local jobs_at = result_at + result_size
  local id = sub(batch, id_at, verb_at - 1)
  local job = load(id)
  number, position = number + 1, jobs_at + jobs_size
  local current = job and job[FENCE] > 0 and job[FENCE] == fence
  if current and job[STATE] == ACTIVE and call('LREM', list, 1, job[PLACE] .. id) == 1 then
    apply(job, sub(batch, verb_at, meta_at - 1), execute_at, delay, keep == 1,
      meta_size > 0 and sub(batch, meta_at, result_at - 1) or nil,
      result_size > 0 and sub(batch, result_at, jobs_at - 1) or nil)
    push(batch, jobs_at, position)
  elseif not current or job[STATE] == ACTIVE then -- otherwise this fence has settled it, and the answer was lost
    refused[#refused + 1] = number
  end
end
for i = #released, 1, -1 do
  local job = released[i]
  job[PLACE] = string.format('%016.0f', MIDDLE + call('DECR', PREFIX .. 'front'))
  mark(job)
  put_in_front(job, job[PLACE] .. job[ID])
end
flush_endings()
flush_lines()
flush_counts()
return refused
