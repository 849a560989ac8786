-- Reading and writing jobs.
local function id_of(ticket) return sub(ticket, 17) end
local function place_of(ticket) return sub(ticket, 1, 16) end

-- A stored job by the numbers above, or nothing: where somebody else has put something there, it is no job. A script that
-- failed at it would lose what it holds at that moment. Of one that is cut the end is missing.
local function open(id, value, cut)
  if type(value) ~= 'string' or #value < FORM_SIZE then return end
  local job = {decode(FORM, value)}
  local size = FORM_SIZE + job[QUEUE_SIZE] + job[UNIQUE_SIZE] + job[NAME_SIZE] + job[PAYLOAD_SIZE] + job[META_SIZE]
    + job[RESULT_SIZE]
  if not NAMES[job[STATE]] or size < #value or (size > #value and not cut) then return end
  job[QUEUE], job[ID], job[VALUE] = sub(value, FORM_SIZE + 1, FORM_SIZE + job[QUEUE_SIZE]), id, value
  return job
end

-- A job with all its texts.
local function load_whole(id) return open(id, redis.pcall('GET', JOB .. id)) end

-- A job without its long texts: what decisions are made by.
local function load(id)
  local value = redis.pcall('GETRANGE', JOB .. id, 0, STANDING)
  return open(id, value, #value > STANDING)
end

local function unique_of(job)
  local before = FORM_SIZE + job[QUEUE_SIZE]
  return sub(job[VALUE], before + 1, before + job[UNIQUE_SIZE])
end

local function name_of(job)
  local before = FORM_SIZE + job[QUEUE_SIZE] + job[UNIQUE_SIZE]
  return sub(job[VALUE], before + 1, before + job[NAME_SIZE])
end

local workers_by_number

-- The worker that holds an active job; '' if it is not known.
local function worker_of(job)
  if not workers_by_number then
    workers_by_number = {}
    local known = call('HGETALL', PREFIX .. 'numbers')
    for i = 1, #known, 2 do workers_by_number[known[i + 1]] = known[i] end
  end
  return workers_by_number[job[WORKER] .. ''] or ''
end

-- The same of a job whose ticket stands among what some worker holds: that worker, where the number is another's, or
-- nobody's since somebody has deleted the numbers, and the other does not hold it.
local function holder_of(job, worker)
  local known = worker_of(job)
  local held = known ~= '' and call('SISMEMBER', active_key(known), job[PLACE] .. job[ID]) == 1
  return held and known or worker
end

-- A job as it is stored.
local function whole(job) return #job[VALUE] <= STANDING and job[VALUE] or call('GET', JOB .. job[ID]) end

-- The job, or nothing where the ticket was left behind.
local function if_here(job, ticket) return job and job[PLACE] == place_of(ticket) and job or nil end

-- Writes the numbers of HEAD.
local function mark(job)
  local head = pack(HEAD, unpack(job, 1, PLACE))
  call('SETRANGE', JOB .. job[ID], 0, head)
  job[VALUE] = head .. sub(job[VALUE], HEAD_SIZE + 1)
end
