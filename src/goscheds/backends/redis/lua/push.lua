-- Uses single, prelude, lines.
-- Stores a batch of new jobs. ARGV: how many, the batch (codec.py). Reply: the ids, of those that are there instead where
-- a job was not stored; nothing if all were.
reserve_places(ARGV[1])
local ids = push(ARGV[2], 1, #ARGV[2])
flush_lines()
flush_counts()
return ids
