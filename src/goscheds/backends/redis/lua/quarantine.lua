-- What somebody else has written where a job belongs, and no worker would ever be given: it can't be taken apart, or its
-- queue can't be named.

-- The queue that it was in, if it still says so.
local function queue_in(value, state)
  if #value < FORM_SIZE then return UNKNOWN end
  local job = {decode(FORM, value)}
  local queue = sub(value, FORM_SIZE + 1, FORM_SIZE + job[QUEUE_SIZE])
  return call('HEXISTS', PREFIX .. 'counts', NAMES[state] .. ':' .. queue) == 1 and queue or UNKNOWN
end

-- Has it be a dead job with its bytes as payload, which says itself that it can't be read. Its ticket was taken from
-- where jobs of a state are, if known of a queue; one that a job left behind, or of no job, is nothing.
local function quarantine(ticket, state, queue)
  local id = id_of(ticket)
  local value = redis.pcall('GET', JOB .. id)
  if type(value) ~= 'string' then return end
  local job = open(id, value)
  if job and (is_text(job[QUEUE]) or not if_here(job, ticket) or job[STATE] ~= state) then return end
  queue = queue or queue_in(value, state)
  local place = back_place()
  local form = pack(FORM, DEAD, 0, 0, now, 0, now, place, now, 0, 0, #queue, 0, #UNKNOWN, #value, 0, 0)
  call('SET', JOB .. id, form .. queue .. UNKNOWN .. value)
  call('ZADD', PREFIX .. 'dead', now, place .. id)
  if queue ~= UNKNOWN then count(state, queue, -1) end
  count(DEAD, queue, 1)
end
