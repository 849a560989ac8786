-- Which structures hold jobs that are ready or active. ARGV: queue ('' = all).
-- Reply: the lines, and the lists of workers, as keys without the namespace.
local wanted, lines_found, lists = ARGV[1], {}, {}
for _, field in ipairs(call('HKEYS', PREFIX .. 'counts')) do
  local queue = string.match(field, '^ready:(.*)$')
  if queue and (wanted == '' or wanted == queue) then
    for _, level in ipairs(call('ZRANGE', levels_key(queue), 0, -1)) do
      lines_found[#lines_found + 1] = 'queue:' .. level .. ':' .. queue
    end
  end
end
for i, worker in ipairs(call('ZRANGE', PREFIX .. 'workers', 0, -1)) do lists[i] = 'active:' .. worker end
return {lines_found, lists}
