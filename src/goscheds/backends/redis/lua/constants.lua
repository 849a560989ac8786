-- Names that stand for numbers and texts in all scripts. They are written out before the server sees a script: as local
-- variables, those that functions use took a third of the time of a push.

-- A job is one string: the numbers of FORM, then the texts whose lengths are among them: worker, queue, unique key, name,
-- payload, meta, result. One string costs a third of the memory of a hash with a field for each, and one command to
-- write. HEAD is what changes on a job's way, and is written over in place. The worker's name stays behind when a job
-- leaves it, and means nothing then. codec.py has the same layout.
HEAD = '>BBI8c16I8I8I8I2I4'
HEAD_SIZE = 56
FORM = '>BBI8c16I8I8I8I2I4bI8I2I2I2I4I4'
FORM_SIZE = 79
STANDING = 4199

STATE = 1
CANCELLING = 2
FENCE = 3
PLACE = 4
EXECUTE_AT = 5
PUSHED_AT = 6
CHANGED_AT = 7
WORKER_SIZE = 8
RESULT_SIZE = 9
PRIORITY = 10
TIMEOUT = 11
QUEUE_SIZE = 12
UNIQUE_SIZE = 13
NAME_SIZE = 14
PAYLOAD_SIZE = 15
META_SIZE = 16

-- What a loaded job has besides.
QUEUE = 17
ID = 18
VALUE = 19

-- States.
SCHEDULED = 1
READY = 2
ACTIVE = 3
DONE = 4
DEAD = 5
CANCELLED = 6

-- Fences beyond are no whole numbers in Lua. No job has been claimed so often.
MAX_FENCE = 2^53
-- The name of what is no job, and its queue where that can't be told.
UNKNOWN = '?'

-- Lua's `unpack` ends at about 8,000; even.
CHUNK = 4000
-- Places at the back of lines count up from here, those at the front count down.
MIDDLE = 4e15
