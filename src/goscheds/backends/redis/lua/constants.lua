-- Names that stand for numbers and texts in all scripts. They are written out before the server sees a script: as local
-- variables, those that functions use took a third of the time of a push.

-- A job is one string: the numbers of FORM, then the texts whose lengths are among them: queue, unique key, name, payload,
-- meta, result. One string costs a third of the memory of a hash with a field for each, and one command to write. What
-- changes on a job's way comes first, and is written over in place: HEAD at most, TAKEN by a claim, ENDED by most settles.
-- The worker stands by its number, which stays behind when a job leaves it, and means nothing then. codec.py has the same
-- layout.
ENDED = '>BBI8I8'
TAKEN = '>BBI8I8I4'
HEAD = '>BBI8I8I4I8c16'
HEAD_SIZE = 46
FORM = '>BBI8I8I4I8c16I8bI8I2I2I2I4I4I4'
FORM_SIZE = 81
-- How much of a job is read to settle it, and to decide anything else: its numbers, queue, unique key and name.
GLANCE = 254
STANDING = 4199

STATE = 1
CANCELLING = 2
FENCE = 3
CHANGED_AT = 4
WORKER = 5
EXECUTE_AT = 6
PLACE = 7
PUSHED_AT = 8
PRIORITY = 9
TIMEOUT = 10
QUEUE_SIZE = 11
UNIQUE_SIZE = 12
NAME_SIZE = 13
PAYLOAD_SIZE = 14
META_SIZE = 15
RESULT_SIZE = 16

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

-- Microseconds after which a due job that can join no line is looked at again.
AGAIN = 1000000

-- Lua's `unpack` ends at about 8,000; even.
CHUNK = 4000
-- Places at the back of lines count up from here, those at the front count down. Lua writes 14 digits of a number exactly
-- and fast: what comes before BACK's are these two.
MIDDLE = 4010000000000000
BACK = 10000000000000
BEFORE_BACK = '40'
