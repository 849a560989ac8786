-- Uses single, prelude, lines.
-- Stores a batch of new jobs. ARGV: how many, the batch (codec.py). Reply: the ids, of those that are there instead where
-- a job was not stored; nothing if all were.
reserve_places(ARGV[1])
local pushed, ids = pcall(push, ARGV[2], 1, #ARGV[2])
if not pushed then
  for _, jobs in ipairs(fresh) do
    for i = 1, #jobs, 2 do
      if jobs[i] then call('UNLINK', jobs[i]) end
    end
  end
  error(ids, 0)
end
flush_lines()
flush_counts()
return ids
