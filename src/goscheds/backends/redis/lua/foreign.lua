-- What somebody else may have put where names and numbers stand, which Python could not read.
local function is_text(found)
  if not string.find(found, '[\128-\255]') then return true end
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
