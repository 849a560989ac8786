-- Claims ready jobs, higher levels first. ARGV: queue, worker, limit, the ticket that BLMOVE took or ''.
-- Reply: what to do if nothing was claimed ('block'; 'rest': paused, or no lease; 'again': only left tickets were met),
-- then the rows.
local queue, worker, limit, taken = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if taken ~= '' then put_back(worker, taken) end
if paused(queue) then return {'rest', {}} end
if not alive(worker) then
  pass_on(queue)
  return {'rest', {}}
end

local rows, tickets, tries = {}, {}, limit + 1000

local function claim_from(line)
  while #rows < limit and tries > 0 do
    local asked = math.min(limit - #rows, CHUNK)
    local popped = call('LPOP', line, asked) or {}
    for _, ticket in ipairs(popped) do
      local job = holder_of(ticket, FIELDS)
      if job and job[STATE] == 'ready' then
        take(ticket, job, worker, true)
        tickets[#tickets + 1] = ticket
        rows[#rows + 1] = row(id_of(ticket), job)
      end
    end
    tries = tries - #popped
    if #popped < asked then return true end
  end
end

local levels = call('ZREVRANGE', levels_key(queue), 0, -1)
for _, level in ipairs(levels) do
  if claim_from(line_key(queue, level)) then call('ZREM', levels_key(queue), level) end
end
many('RPUSH', active_key(worker), tickets)
flush()
if #rows == limit and (#levels > 1 or levels[1] ~= '0') then pass_on(queue) end
return {tries > 0 and 'block' or 'again', rows}
