-- Jobs by id. ARGV: ids (msgpack), queue, name ('' = any). Reply: rows; unknown ids are left out.
local rows = {}
for _, id in ipairs(cmsgpack.unpack(ARGV[1])) do
  local job = load(id, FIELDS)
  if job and is_asked_for(job, ARGV[2], ARGV[3]) then rows[#rows + 1] = row(id, job) end
end
return rows
