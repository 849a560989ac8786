-- Jobs by id. ARGV: ids (msgpack). Reply: rows; unknown ids are left out.
local rows = {}
for _, id in ipairs(cmsgpack.unpack(ARGV[1])) do
  local job = load(id, FIELDS)
  if job then rows[#rows + 1] = row(id, job) end
end
return rows
