"""What the server does for histories: scripts, atomic and in one round trip each.

A history is what is under these keys, each behind the prefix of the database:

    hm:<id>          hash: `v` and `e`, which are other bytes after every change and after every
                     change that is no more than samples put behind the others; `n`, how many
                     samples are in chunks; `u`, the first line of chunks of the unit of the
                     series, where there is one
    hi:<id>          sorted set, all scores 0: the marks of the first moments of the chunks
    hc:<mark><id>    a chunk
    ht:<id>          the series of the module TimeSeries

What a chunk answers for is the time from its first moment to that of the chunk after it, so that
chunks never overlap. No moment is both in a chunk and in the series. Whoever changes chunks that
are there has read them first, and says which `v` it has seen; is it another by now, nothing is
changed and the answer is what to read.
"""

from __future__ import annotations

import hashlib
from typing import Final

from holdall.objects.backends.redis.lua import Script

CHUNK_BYTES: Final = 8192 + 64
"""How long a chunk becomes by what is put behind it."""
SERIES_BYTES: Final = 512
"""How long a chunk of a series is: the shorter, the faster is what comes late."""

_COMMON = f"""\
local call, root, full, few = redis.call, KEYS[1], {CHUNK_BYTES}, 4
local next_argument = 0
local function take()
  next_argument = next_argument + 1
  return ARGV[next_argument]
end
local function chunk(id, start) return root .. 'hc:' .. start .. id end
local function marked(moment)
  local text = string.reverse(moment)
  return string.char((string.byte(text) + 128) % 256) .. string.sub(text, 2)
end
-- Not by '<', which compares as the server's language does.
local function later(one, other)
  local a, b = struct.unpack('>I4I4', one)
  local c, d = struct.unpack('>I4I4', other)
  return a > c or (a == c and b > d)
end
local function last_of(id, start) return marked(call('GETRANGE', chunk(id, start), -8, -1)) end
local function answering(index, moment)
  return call('ZREVRANGEBYLEX', index, '[' .. moment, '-', 'LIMIT', 0, 1)[1]
end
local function count_of(text)
  local at = string.find(text, '\\n', 1, true) + 1
  if at ~= 3 or string.byte(text) ~= 107 then return (#text - at + 1) / 16 end
  local count = 0
  while at <= #text do
    local some, length = struct.unpack('<I4I4', text, at)
    count, at = count + some, at + 8 + length + 8 * some
  end
  return count
end
local function reach(id, low, high)
  local index = root .. 'hi:' .. id
  local starts = call('ZRANGEBYLEX', index, '[' .. (answering(index, low) or low), '[' .. high)
  -- What came before all chunks is the first one's, too.
  if #starts == 0 then starts = call('ZRANGE', index, 0, 0) end
  local followed = call('ZRANGEBYLEX', index, '(' .. high, '+', 'LIMIT', 0, 1)[1]
  local answer = {{
    'reach', call('HGET', root .. 'hm:' .. id, 'v') or '', followed or '', table.concat(starts)
  }}
  if #starts <= few then
    for _, start in ipairs(starts) do answer[#answer + 1] = call('GET', chunk(id, start)) end
  end
  return answer
end
"""


def _script(text: str) -> Script:
    source = (_COMMON + text).encode()
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode(), 1)


# id, low, high
REACH = _script("local id, low = take(), take() return reach(id, low, take())")

# id, marks...: the chunks, nil where one is gone
FETCH = _script(
    """\
local id, answer = take(), {}
for at = 2, #ARGV do answer[at - 1] = call('GET', chunk(id, ARGV[at])) end
return answer
"""
)

# how many samples each, after how many bytes no other; id, start, end, from, to, ...
READ = _script(
    """\
local page, room, answer = tonumber(take()), tonumber(take()), {}
local function series(id, from, to)
  local rows = call('TS.RANGE', root .. 'ht:' .. id, from, to, 'COUNT', page)
  local flat, parts, rest = {}, {}, 0
  for at = 1, #rows do
    local row = rows[at]
    flat[rest + 1], flat[rest + 2] = row[1], tonumber(row[2].ok)
    rest = rest + 2
    if rest == 500 then
      parts[#parts + 1] = struct.pack('<' .. string.rep('d', 500), unpack(flat))
      rest = 0
    end
  end
  if rest > 0 then
    parts[#parts + 1] = struct.pack('<' .. string.rep('d', rest), unpack(flat, 1, rest))
  end
  return table.concat(parts), #rows == page and rows[page][1]
end
while next_argument < #ARGV do
  local id, start, stop, from, to = take(), take(), take(), take(), take()
  local found = call('HMGET', root .. 'hm:' .. id, 'e', 'u')
  if room <= 0 then answer[#answer + 1] = 1
  elseif not found[1] then answer[#answer + 1] = 0
  else
    local index, one = root .. 'hi:' .. id, {found[1], found[2] or '', '', 0, 0}
    local horizon
    if found[2] and from ~= '' then
      one[3], horizon = series(id, from, to)
      one[4] = horizon and 1 or 0
      room = room - #one[3]
    end
    local at, seen, ended = '[' .. (answering(index, start) or start), -1, false
    while not ended do
      local starts = call('ZRANGEBYLEX', index, at, '(' .. stop, 'LIMIT', 0, 16)
      for place, mark in ipairs(starts) do
        -- What is in the first one may all be before the start.
        if seen >= page or (seen > 0 and room <= 0) then
          one[5], ended = 1, true
          break
        end
        -- A second after what the series has told, chunks are not wanted yet.
        local high, low = struct.unpack('>I4I4', mark)
        if horizon and (high - 2147483648) * 4294967296 + low > (horizon + 1000) * 1000 then
          ended = true
          break
        end
        local text = call('GET', chunk(id, mark))
        seen = seen < 0 and 0 or seen + count_of(text)
        room = room - #text
        one[#one + 1] = text
        at = '(' .. mark
      end
      ended = ended or #starts < 16
    end
    answer[#answer + 1] = one
  end
end
return answer
"""
)

# ids
BOUNDS = _script(
    """\
local answer = {}
for at, id in ipairs(ARGV) do
  local index, found = root .. 'hi:' .. id, call('HMGET', root .. 'hm:' .. id, 'n', 'u')
  local first = call('ZRANGE', index, 0, 0)[1]
  local one = {first or '', '', found[1] or '0', '', '', 0}
  if first then one[2] = last_of(id, call('ZRANGE', index, -1, -1)[1]) end
  if found[2] then
    local key = root .. 'ht:' .. id
    one[4] = string.format('%.0f', call('TS.RANGE', key, '-', '+', 'COUNT', 1)[1][1])
    one[5] = string.format('%.0f', call('TS.GET', key)[1])
    local about = call('TS.INFO', key)
    for place = 1, #about, 2 do
      if (about[place].ok or about[place]) == 'totalSamples' then one[6] = about[place + 1] end
    end
  end
  answer[at] = one
end
return answer
"""
)

# token, then of each history:
#   id, the `v` that was seen or '*', first, last, first in ms,
#   what the series gets: unit, pairs; what it loses: moments, from, to
#   how many samples more are in chunks, cut from, cut to,
#   how many chunks go, their marks, how many come, (mark, first line, rest, as kinds) of each
CHANGE = _script(
    f"""\
local token, answer = take(), {{}}
local SERIES = {{'RETENTION', 0, 'ENCODING', 'COMPRESSED', 'CHUNK_SIZE', {SERIES_BYTES},
  'DUPLICATE_POLICY', 'LAST'}}
local function make(key, id)
  -- The server may be set to leave out what differs little; older modules cannot be.
  local made = redis.pcall('TS.CREATE', key, 'IGNORE', 0, 0, unpack(SERIES))
  if made.err then call('TS.CREATE', key, unpack(SERIES)) end
  -- The module looks for its own words among the labels, too, and some signs it refuses.
  if string.find(id, '^[%w_:.~-]+$') then call('TS.ALTER', key, 'LABELS', 'point', '@' .. id) end
end
-- Some servers write large numbers with an exponent when they are handed on as they are.
local plain = call('ECHO', 1000000000000) == '1000000000000'
local function add(key, pairs_)
  local left, at, size, request = #pairs_ / 16, 1, 0, nil
  while left > 0 do
    local now = math.min(left, 500)
    if now ~= size then size, request = now, {{'TS.MADD'}} end
    local values = {{struct.unpack('<' .. string.rep('dd', now), pairs_, at)}}
    for one = 0, now - 1 do
      local moment, value = values[2 * one + 1], values[2 * one + 2]
      if not plain then
        moment, value = string.format('%.0f', moment), string.format('%.17g', value)
      end
      request[3 * one + 2], request[3 * one + 3], request[3 * one + 4] = key, moment, value
    end
    for _, added in ipairs(call(unpack(request))) do
      if type(added) ~= 'number' then error(added.err or 'a sample was refused') end
    end
    left, at = left - now, at + 16 * now
  end
end
local function one()
  local id, seen, first, last, first_ms = take(), take(), take(), take(), tonumber(take())
  local line, pairs_, gone, from, to = take(), take(), take(), take(), take()
  local more, cut_from, cut_to = tonumber(take()), take(), take()
  local goes = {{}}
  for at = 1, tonumber(take()) do goes[at] = take() end
  local comes = {{}}
  for at = 1, tonumber(take()) do comes[at] = {{take(), take(), take(), take()}} end

  local meta, index, key = root .. 'hm:' .. id, root .. 'hi:' .. id, root .. 'ht:' .. id
  local known = call('HMGET', meta, 'v', 'e', 'n', 'u')
  local unit = known[4]
  -- What can be refused is refused before anything is changed.
  if known[1] == token then return 0 end
  if line ~= '' and unit and unit ~= line then return {{'unit', unit}} end
  local edited, tail, behind = known[2] and seen ~= '*', nil, false
  if seen ~= '*' then
    if (known[1] or '') ~= seen then return reach(id, first, last) end
  else
    tail = call('ZRANGE', index, -1, -1)[1]
    if tail and not later(first, last_of(id, tail)) then
      if #comes > 0 then return reach(id, first, last) end
      local before = answering(index, first)
      if (before and not later(first, last_of(id, before)))
        or call('ZRANGEBYLEX', index, '[' .. first, '[' .. last, 'LIMIT', 0, 1)[1] then
        return reach(id, first, last)
      end
      edited = true
    end
    if tail and #comes > 0 then
      local to_it, some = chunk(id, tail), comes[1]
      local size = call('STRLEN', to_it)
      if size + #some[3] <= full then
        if call('GETRANGE', to_it, 0, #some[2] - 1) == some[2] then behind = some[3]
        elseif some[4] ~= '' and call('GETRANGE', to_it, 0, 1) == 'k\\n' then behind = some[4]
        elseif size < full / 2 then return reach(id, first, last) end
      elseif size > full / 2 and #some[3] < 1024 then
        -- It has grown by and by, and holds memory to grow on.
        call('SET', to_it, call('GET', to_it))
      end
    end
  end
  local removed, ends = 0, nil
  if unit then
    ends = call('TS.GET', key)[1]
    edited = edited or (first_ms <= ends)
    if from ~= '' then removed = call('TS.DEL', key, from, to) end
    for at = 1, #gone, 8 do
      local moment = struct.unpack('<d', gone, at)
      if moment > ends then break end
      moment = string.format('%.0f', moment)
      removed = removed + call('TS.DEL', key, moment, moment)
    end
  end
  if pairs_ ~= '' then
    if not unit then make(key, id) end
    unit = line
    add(key, pairs_)
  elseif removed > 0 and not call('TS.RANGE', key, '-', '+', 'COUNT', 1)[1] then
    call('DEL', key)
    call('HDEL', meta, 'u')
    unit = false
  end
  if cut_from ~= '' then
    for _, start in ipairs(call('ZRANGEBYLEX', index, '(' .. cut_from, '(' .. cut_to)) do
      local where = chunk(id, start)
      local begin = call('GETRANGE', where, 0, 255)
      local ended = string.find(begin, '\\n', 1, true)
      local count
      if ended and string.sub(begin, 1, 2) ~= 'k\\n' then
        count = (call('STRLEN', where) - ended) / 16
      else count = count_of(call('GET', where)) end
      removed, more = removed + count, more - count
      goes[#goes + 1] = start
    end
  end
  for _, start in ipairs(goes) do
    call('ZREM', index, start)
    call('UNLINK', chunk(id, start))
  end
  for at, some in ipairs(comes) do
    if at == 1 and behind then call('APPEND', chunk(id, tail), behind)
    else
      call('SET', chunk(id, some[1]), some[2] .. some[3])
      call('ZADD', index, 0, some[1])
    end
  end
  if not unit and call('EXISTS', index) == 0 then
    call('DEL', meta)
    return removed
  end
  local count = string.format('%.0f', (known[3] or 0) + more)
  call('HSET', meta, 'v', token, 'n', count)
  if edited or not known[2] then call('HSET', meta, 'e', token) end
  if pairs_ ~= '' and not known[4] then call('HSET', meta, 'u', line) end
  return removed
end
while next_argument < #ARGV do answer[#answer + 1] = one() end
return answer
"""
)
