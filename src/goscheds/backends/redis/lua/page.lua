-- Looks through one structure, which is in the order of its tickets' scores and places (a worker's own list is sorted
-- here). ARGV: the structure's key without the namespace, its kind ('line', 'list', 'index'), the state to look for,
-- score and place to begin after, how many tickets to look at, queue, name ('' = any).
-- Reply: score and place of the last ticket looked at ('' at the end), and rows, each remarked with its own.
local key, kind, state = PREFIX .. ARGV[1], ARGV[2], ARGV[3]
local after_score, after_place, scan = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local queue, name = ARGV[7], ARGV[8]

local own = kind == 'list' and call('LRANGE', key, 0, -1)
if own then table.sort(own, function(a, b) return tonumber(place_of(a)) < tonumber(place_of(b)) end) end
local size = own and #own or call(kind == 'index' and 'ZCARD' or 'LLEN', key)

-- Tickets and their scores, from one position to another, counted from 0.
local function between(first, last)
  if own then return {unpack(own, first + 1, last + 1)}, {} end
  if kind == 'line' then return call('LRANGE', key, first, last), {} end
  local tickets, scores = {}, {}
  for i, value in ipairs(call('ZRANGE', key, first, last, 'WITHSCORES')) do
    local list = i % 2 == 1 and tickets or scores
    list[#list + 1] = value
  end
  return tickets, scores
end

local low, high = 0, size
while low < high do
  local middle = math.floor((low + high) / 2)
  local tickets, scores = between(middle, middle)
  local score, place = tonumber(scores[1] or 0), tonumber(place_of(tickets[1]))
  if score < after_score or (score == after_score and place <= after_place) then
    low = middle + 1
  else
    high = middle
  end
end

local rows, position = {}, ''
local tickets, scores = between(low, math.min(low + scan, size) - 1)
for i, ticket in ipairs(tickets) do
  position = (scores[i] or '0') .. ' ' .. place_of(ticket)
  local job = holder_of(ticket, STANDING)
  if job and job[STATE] == state and is_asked_for(job, queue, name) then
    rows[#rows + 1] = row(id_of(ticket), load(id_of(ticket), FIELDS), position)
  end
end
return {low + #tickets < size and position or '', rows}
