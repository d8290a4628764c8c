"""The scripts behind listings."""

from __future__ import annotations

from holdall.objects.backends.redis.lua import OWN_NAMES, script

# prefix, first key with its bracket, delimiter, max_items, etags
LIST = script(
    """\
if call('HLEN', '.holdall/times') > call('ZCARD', '.holdall/index') then return '?lost' end
local prefix, from, delimiter = ARGV[1], ARGV[2], ARGV[3] ~= ''
local most, etags = tonumber(ARGV[4]), ARGV[5] ~= ''
local upto = '+'
if prefix ~= '' then upto = '(' .. string.sub(prefix, 1, -2) .. '0' end
local found, sizes, known, odd = {}, {}, {}, 0
local gone, count, foreign, seen, hashed = {}, 0, 0, 0, 0
local last, more, folder = '', false, nil
local sub, find, try, plain = string.sub, string.find, redis.pcall, not (delimiter or etags)

-- Where the segment `.holdall` ends behind the prefix: what is in there is no object here.
local function reserved(key)
  local _, stop = find('/' .. sub(key, #prefix + 1) .. '/', '/.holdall/', 1, true)
  return stop and #prefix + stop - 1
end

-- The rest of the rule for keys, as in `core/reference.py`, for a key that others wrote.
local function is_key(key)
  if key == '' or #key > KEY or find(key, '[%c\\\\]') or find(key, '\\194[\\128-\\159]')
    or find('/' .. key .. '/', '//', 1, true) or find('/' .. key .. '/', '/%.%.?/') then
    return false
  end
  for segment in string.gmatch(key, '[^/]+') do
    if #segment > SEGMENT then return false end
  end
  if not find(key, '[\\128-\\255]') then return true end
  -- What is left of UTF-8 without its characters of two bytes, of three and of four.
  local rest = string.gsub(key, '[\\194-\\223][\\128-\\191]', '?')
  if find(rest, '\\224[\\128-\\159]') or find(rest, '\\237[\\160-\\191]') then return false end
  rest = string.gsub(rest, '[\\224-\\239][\\128-\\191][\\128-\\191]', '?')
  if find(rest, '\\240[\\128-\\143]') or find(rest, '\\244[\\144-\\191]') then return false end
  rest = string.gsub(rest, '[\\240-\\244][\\128-\\191][\\128-\\191][\\128-\\191]', '?')
  return not find(rest, '[\\128-\\255]')
end

local function look(key, time)
  local size = call('STRLEN', key)
  if size == 0 and call('EXISTS', key) == 0 then
    gone[#gone + 1] = key
  elseif not time and not is_key(key) then
    foreign = foreign + 1
  elseif count == most or hashed > 16 * PIECE then
    more = true
  else
    count = count + 1
    last = key
    local slash = delimiter and find(key, '/', #prefix + 1, true)
    local info = time or ''
    if slash then
      folder = sub(key, 1, slash)
      key, size, info, last = folder, -1, '', folder
    elseif etags then
      local _, etag = state(key)
      info = info .. ' ' .. etag
      hashed = hashed + size
    end
    found[count], sizes[count], known[count] = key, size, info
    if etags or slash or not time then odd = 1 end
  end
end

while not more do
  local keys = call('ZRANGEBYLEX', '.holdall/index', from, upto, 'LIMIT', 0,
    delimiter and 100 or PAGE + 1)
  if #keys == 0 then break end
  local times, names, places = call('HMGET', '.holdall/times', unpack(keys)), {}, {}
  for i = 1, #keys do
    if not times[i] then
      places[#places + 1] = i
      names[#names + 1] = '.holdall/note/' .. keys[i]
    end
  end
  local first, ready = 1, plain and count == 0 and math.min(#keys, most) or 0
  if names[1] then
    local notes = call('MGET', unpack(names))
    for n, i in ipairs(places) do
      if notes[n] then times[i] = sub(notes[n], 75, 90) else ready = math.min(ready, i - 1) end
    end
  end
  if ready > 0 then
    -- What `look` does, at half the price, up to the first key that is gone or is no object.
    local open = not find(table.concat(keys, '\\n'), '.holdall', 1, true)
    pcall(function()
      for i = 1, ready do
        local key = keys[i]
        if not open and reserved(key) then return end
        local size = call('STRLEN', key)
        if size == 0 and call('EXISTS', key) == 0 then return end
        sizes[i] = size
      end
    end)
    count = #sizes
    if count > 0 then
      first, from, last = count + 1, keys[count], keys[count]
      found, known = {unpack(keys, 1, count)}, {unpack(times, 1, count)}
    end
  end
  for i = first, #keys do
    local key, time = keys[i], times[i]
    if not folder or sub(key, 1, #folder) ~= folder then
      local stop = reserved(key)
      folder = stop and stop <= #key and sub(key, 1, stop) or nil
      if not stop then
        local _, why = pcall(look, key, time)
        if why then
          if not find(why.err or why, 'WRONGTYPE', 1, true) then error(why) end
          foreign = foreign + 1
        end
        if more then break end
      end
      -- A page that ends here goes on behind it; what ends in a slash stands for a folder.
      last = folder or (sub(key, -1) == '/' and key .. '\\0' or key)
    end
    from = key
  end
  from = folder and '[' .. sub(folder, 1, -2) .. '0' or '(' .. from
  folder = nil
  seen = seen + #keys
  if seen > 10 * PAGE then more = true end
end
for i = 1, #gone, PAGE do
  local keys, lost = {unpack(gone, i, math.min(i + PAGE - 1, #gone))}, {}
  for n, key in ipairs(keys) do lost[n] = '.holdall/note/' .. key end
  -- Who may only read leaves them.
  try('HDEL', '.holdall/times', unpack(keys))
  try('ZREM', '.holdall/index', unpack(keys))
  try('UNLINK', unpack(lost))
end
local times = false
if odd == 0 then times, known = table.concat(known, '000,'), nil end
return {more and 1 or 0, foreign, last, times, cmsgpack.pack({found, sizes, known})}
""",
    0,
)

# first key with its bracket, last with its own: drop from the index what is gone
SWEEP = script(
    """\
local keys = call('ZRANGEBYLEX', '.holdall/index', ARGV[1], ARGV[2], 'LIMIT', 0, PAGE)
local gone = 0
for _, key in ipairs(keys) do
  if call('EXISTS', key) == 0 then
    call('HDEL', '.holdall/times', key)
    gone = gone + call('ZREM', '.holdall/index', key)
    call('UNLINK', '.holdall/note/' .. key)
  end
end
return {gone, keys[#keys] or false}
""",
    0,
)

_OWN = ", ".join(f"{name} = true" for name in sorted(OWN_NAMES))

# cursor, pattern: take keys into the index
SCAN = script(
    f"local OWN = {{{_OWN}}}\n"
    """\
local reply = call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', PAGE)
local added = 0
for _, key in ipairs(reply[2]) do
  if not OWN[string.match(key, '^%.holdall/([^/]*)') or ''] then
    added = added + call('ZADD', '.holdall/index', 0, key)
    local place = '.holdall/note/' .. key
    local line = call('GET', place)
    if line and call('PTTL', place) == -1 then
      call('HSET', '.holdall/times', key, string.sub(line, 75, 90))
    end
  end
end
return {reply[1], added}
""",
    0,
)

# cursor, pattern: forget the times of what is not in the index
PRUNE = script(
    """\
local reply = call('HSCAN', '.holdall/times', ARGV[1], 'MATCH', ARGV[2], 'COUNT', PAGE)
for i = 1, #reply[2], 2 do
  local key = reply[2][i]
  if not call('ZSCORE', '.holdall/index', key) then call('HDEL', '.holdall/times', key) end
end
return reply[1]
""",
    0,
)
