-- Uses prelude, foreign.
-- Reply: '<state>:<queue>' and its number of jobs, alternating; the paused queues.
local known, counts, found = {}, {}, call('HGETALL', PREFIX .. 'counts')
for _, name in ipairs(NAMES) do known[name] = true end
for i = 1, #found, 2 do
  if known[string.match(found[i], '^(%a+):')] and is_text(found[i]) and is_number(found[i + 1]) then
    counts[#counts + 1], counts[#counts + 2] = found[i], found[i + 1]
  end
end
return {counts, texts(call('SMEMBERS', PREFIX .. 'paused'))}
