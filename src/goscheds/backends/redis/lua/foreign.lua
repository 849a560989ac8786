-- What somebody else may have put where names and numbers stand, which nobody can tell from the rest of an answer.
local function is_text(found)
  if string.find(found, '%c') then return false end
  if not string.find(found, '[\128-\255]') then return true end
  for _, odd in ipairs({'\224[\128-\159]', '\237[\160-\191]', '\240[\128-\143]', '\244[\144-\191]'}) do
    if string.find(found, odd) then return false end
  end
  local rest = string.gsub(found, '[\194-\223][\128-\191]', '')
  rest = string.gsub(rest, '[\224-\239][\128-\191][\128-\191]', '')
  rest = string.gsub(rest, '[\240-\244][\128-\191][\128-\191][\128-\191]', '')
  return not string.find(rest, '[\128-\255]')
end

local function is_number(found) return #found < 18 and string.find(found, '^%d+$') end

local function texts(found)
  local kept = {}
  for _, text in ipairs(found) do
    if is_text(text) then kept[#kept + 1] = text end
  end
  return kept
end
