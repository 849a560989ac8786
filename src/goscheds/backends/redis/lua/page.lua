-- Uses prelude, jobs, foreign.
-- Looks through the structures that hold jobs of some states, one after the other: each is in the order of its tickets'
-- scores and places (a worker's own list is sorted here).
-- ARGV: where to begin after: rank of the state, structure, score and place, in lines ('' = at the beginning), how many
-- tickets to look at, the ranks of the states, queue, name ('' = any).
-- Reply: where the next call is to begin, nil at the end; where the jobs are that were found, their ids, the workers that
-- hold them, and the jobs.
local after, scan, ranks, queue, name = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

-- The structures that hold jobs of a state. A job between BLMOVE and its claim is ready, and in a list of its worker's.
local function structures(state)
  if state ~= READY and state ~= ACTIVE then return {NAMES[state]} end
  local found = {}
  local own = state == READY and 'taken:' or 'active:'
  for i, worker in ipairs(texts(call('ZRANGE', PREFIX .. 'workers', 0, -1))) do found[i] = own .. worker end
  for _, field in ipairs(state == READY and texts(call('HKEYS', PREFIX .. 'counts')) or {}) do
    local at = string.match(field, '^ready:(.*)$')
    if at and (queue == '' or queue == at) then
      found[#found + 1] = 'queue:0:' .. at
      for _, level in ipairs(call('ZRANGE', levels_key(at), 0, -1)) do
        if string.find(level, '^%-?%d+$') then found[#found + 1] = 'queue:' .. level .. ':' .. at end
      end
    end
  end
  table.sort(found)
  return found
end

-- A ticket's place; 0 where somebody else has put a ticket there that has none.
local function place_in(ticket)
  local place = place_of(ticket)
  return #place == 16 and not string.find(place, '%D') and place or '0'
end

-- A structure's size, and a function for its tickets and their scores from one position to another, counted from 0.
local function reader(structure)
  local key = PREFIX .. structure
  if sub(structure, 1, 7) == 'active:' or sub(structure, 1, 6) == 'taken:' then
    local own = sub(structure, 1, 1) == 'a' and call('SMEMBERS', key) or call('LRANGE', key, 0, -1)
    table.sort(own)
    return #own, function(first, last) return {unpack(own, first + 1, last + 1)}, {} end
  elseif sub(structure, 1, 6) == 'queue:' then
    return call('LLEN', key), function(first, last) return call('LRANGE', key, first, last), {} end
  end
  return call('ZCARD', key), function(first, last)
    local tickets, scores = {}, {}
    for i, value in ipairs(call('ZRANGE', key, first, last, 'WITHSCORES')) do
      local list = i % 2 == 1 and tickets or scores
      list[#list + 1] = value
    end
    return tickets, scores
  end
end

-- The position behind a score and a place.
local function behind(size, between, after_score, after_place)
  local low, high = 0, size
  while low < high do
    local middle = math.floor((low + high) / 2)
    local tickets, scores = between(middle, middle)
    local score, place = tonumber(scores[1] or 0), tonumber(place_in(tickets[1]))
    if score < after_score or (score == after_score and place <= after_place) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local after_rank, after_structure, after_score, after_place = string.match(after, '^(%d)\n([^\n]*)\n(%S+) (%S+)$')
local places, ids, workers, jobs, position = {}, {}, {}, {}, nil

-- Looks through a structure; whether it has more than could be looked at.
local function look(rank, structure)
  local size, between = reader(structure)
  local first = 0
  if rank == after_rank and structure == after_structure then
    first = behind(size, between, tonumber(after_score), tonumber(after_place))
  end
  if first == size or scan == 0 then return first < size end
  local tickets, scores = between(first, math.min(first + scan, size) - 1)
  for i, ticket in ipairs(tickets) do
    local place = place_in(ticket)
    if place ~= '0' or i == 1 then -- behind what is in order; the order of the rest is anybody's
      position = rank .. '\n' .. structure .. '\n' .. (scores[i] or '0') .. ' ' .. place
    end
    local job = if_here(load(id_of(ticket)), ticket)
    if job and job[STATE] == tonumber(rank) and (queue == '' or job[QUEUE] == queue)
      and (name == '' or name_of(job) == name) then
      places[#places + 1], ids[#ids + 1] = position, job[ID]
      workers[#workers + 1], jobs[#jobs + 1] = job[STATE] == ACTIVE and worker_of(job) or '', whole(job)
    end
  end
  scan = scan - #tickets
  return first + #tickets < size
end

for rank in string.gmatch(ranks, '%d') do
  if not after_rank or rank >= after_rank then
    for _, structure in ipairs(structures(tonumber(rank))) do
      if rank ~= after_rank or structure >= after_structure then
        if look(rank, structure) then return {position, places, ids, workers, jobs} end
      end
    end
  end
end
return {false, places, ids, workers, jobs}
