-- Uses prelude, foreign.
-- The workers with a lease, and those without that still hold jobs. Reply: rows of id, expiry, info, jobs held.
local rows, known = {}, call('ZRANGE', PREFIX .. 'workers', 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  local held = call('SCARD', active_key(known[i])) + call('LLEN', taken_key(known[i]))
  if is_text(known[i]) and (held > 0 or tonumber(known[i + 1]) > now) then
    local until_then = string.format('%.0f', math.min(known[i + 1], MAX_FENCE))
    rows[#rows + 1] = {known[i], until_then, call('HGET', PREFIX .. 'info', known[i]) or '', held}
  end
end
return rows
