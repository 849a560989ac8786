-- Stores a batch of new jobs. ARGV: Records (msgpack). Reply: the ids in order, of holders where a key was taken.
local records, ids = cmsgpack.unpack(ARGV[1]), {}
reserve_places(#records)
for i, record in ipairs(records) do ids[i] = push(record) end
flush()
return ids
