-- Uses prelude, jobs, lines, front, foreign, quarantine, taking.
-- Claims ready jobs, higher levels first. ARGV: queue, worker, limit, the ticket that BLMOVE took or '', or '?' right behind
-- a BLMOVE, if it took one.
-- Reply: what to do if nothing was claimed ('block'; 'rest': paused, or no lease; 'again': only left tickets were met),
-- then id and job of each, alternating.
local queue, worker, limit, taken = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if taken == '?' then taken = moved(worker, queue) end
if not taken then return {'block'} end
if taken ~= '' then put_back(worker, taken) end
if call('SISMEMBER', PREFIX .. 'paused', queue) == 1 then return {'rest'} end
if not alive(worker) then
  pass_on(queue)
  return {'rest'}
end

local reply, tickets, tries = {'block'}, {}, limit + 1000

-- Whether the line has no more.
local function claim_from(level)
  local line = line_key(queue, level)
  while #tickets < limit and tries > 0 do
    local asked = math.min(limit - #tickets, CHUNK)
    local popped = call('LPOP', line, asked) or {}
    for _, ticket in ipairs(popped) do
      local id = id_of(ticket)
      local job = if_here(load_whole(id), ticket)
      if job and job[STATE] == READY then
        take(job, worker, true)
        tickets[#tickets + 1] = ticket
        reply[#reply + 1], reply[#reply + 2] = id, job[VALUE]
      elseif not job then
        quarantine(ticket, READY, queue)
      end
    end
    tries = tries - #popped
    if #popped < asked then return true end
  end
end

local levels, middle = call('ZREVRANGE', levels_key(queue), 0, -1), false
for _, level in ipairs(levels) do
  if not middle and (tonumber(level) or 0) < 0 then
    middle = true
    claim_from(0)
  end
  if claim_from(level) then call('ZREM', levels_key(queue), level) end
end
if not middle then claim_from(0) end
many('RPUSH', active_key(worker), tickets)
flush_deadlines()
flush_counts()
if #tickets == limit and #levels > 0 then pass_on(queue) end
if tries <= 0 then reply[1] = 'again' end
return reply
