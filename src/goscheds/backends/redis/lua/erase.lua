-- Deletes keys of the namespace, which has no wildcard. ARGV: where to go on looking for them, 0 to begin; at how many keys to
-- look. Reply: where to go on, '0' at the end.
local found = redis.call('SCAN', ARGV[1], 'MATCH', KEYS[1] .. ':*', 'COUNT', ARGV[2])
for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end
return found[1]
