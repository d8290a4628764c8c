"""The scripts that write, read, delete and copy objects."""

from __future__ import annotations

from holdall.objects.backends.redis.lua import script

# data, head of the note, tail of the note, [ttl, if_match, if_none_match]
PUT = script(
    """\
local key, ttl = KEYS[1], ARGV[4] or ''
local size = call('STRLEN', key)
if ARGV[5] then
  local why = refused(key, ARGV[5], ARGV[6])
  if why then return why end
end
local time = now()
note(key, ARGV[2] .. time .. ARGV[3], ttl)
aside(key, size)
if ttl == '' then call('SET', key, ARGV[1]) else call('SET', key, ARGV[1], 'PX', ttl) end
return time
""",
)

# [start, end, if_match, max_size, body]; all of it by default
GET = script(
    """\
local size, etag, found, line = state(key)
if not size then return false end
local function answer(start, pin, reader, body)
  return table.concat({'*', size, etag, found, start, pin, reader}, ' ')
    .. '\\n' .. line .. '\\n' .. body
end
local start, stop = 0, size
if ARGV[1] then
  start = tonumber(ARGV[1])
  if start < 0 then start = start + size end
  if ARGV[2] ~= '' then stop = math.min(tonumber(ARGV[2]), size) end
  -- What is wrong with the question is said by who asked, who has all that it takes now.
  if ARGV[5] == '' or start < 0 or stop <= start or start >= size
    or (ARGV[3] ~= '' and ARGV[3] ~= etag)
    or (ARGV[4] ~= '' and stop - start > tonumber(ARGV[4])) then
    return answer(0, '-', '-', '')
  end
end
if stop - start <= PIECE then
  return answer(start, '-', '-', call('GETRANGE', key, start, stop - 1))
end
-- Its reader can tell from the fingerprint of what it reads, and of nothing else.
if stop - start < size then found = fingerprint(key, stop - start, start) end
local reader = redis.pcall('INCR', '.holdall/serial')
if type(reader) == 'table' then
  -- It may only read here: nothing can be pinned, and a change is noticed by its note.
  return answer(start, '-', '-', '')
end
local pin = call('GET', '.holdall/pin/' .. key) or tostring(reader)
call('SET', '.holdall/pin/' .. key, pin, 'PX', LEASE)
call('SADD', '.holdall/readers/' .. pin, reader)
call('PEXPIRE', '.holdall/readers/' .. pin, LEASE)
return answer(start, pin, reader, '')
""",
    before="""\
local key = KEYS[1]
if not ARGV[1] or (ARGV[1] == '0' and ARGV[2] == '' and ARGV[3] == '' and ARGV[5] ~= '') then
  local body = call('GETRANGE', key, 0, PIECE)
  if #body <= PIECE and #body <= (tonumber(ARGV[4] or '') or PIECE) then
    if body == '' and call('EXISTS', key) == 0 then return false end
    return (call('GET', '.holdall/note/' .. key) or '') .. '\\n' .. body
  end
end
""",
)

# pin, reader, note, size, at, count, last
CHUNK = script(
    """\
local key, pin, reader, size = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[4])
local place = key
local held = call('GET', '.holdall/pin/' .. key)
if pin == '-' or held ~= pin then
  if pin ~= '-' and call('EXISTS', '.holdall/old/' .. pin) == 1 then
    place = '.holdall/old/' .. pin
  elseif (call('GET', '.holdall/note/' .. key) or '') ~= ARGV[3] then
    return false
  elseif pin ~= '-' then
    pin = held or reader
  end
end
if call('STRLEN', place) ~= size then return false end
if pin ~= '-' then
  if place == key then
    call('SET', '.holdall/pin/' .. key, pin, 'PX', LEASE)
  else
    call('PEXPIRE', place, LEASE)
  end
  call('SADD', '.holdall/readers/' .. pin, reader)
  call('PEXPIRE', '.holdall/readers/' .. pin, LEASE)
end
local body = call('GETRANGE', place, ARGV[5], ARGV[5] + ARGV[6] - 1)
if ARGV[7] == '1' and pin ~= '-' then unpin(key, pin, reader) end
return pin .. '\\n' .. body
""",
)

# pin, reader
RELEASE = script("unpin(KEYS[1], ARGV[1], ARGV[2])")

# keys as a list of MessagePack, if_match, must_exist, [first and last of many keys, in byte order]
DELETE = script(
    """\
local keys, notes, failed, match = cmsgpack.unpack(ARGV[1]), {}, {}, ARGV[2]
local name = '.holdall/note/'
-- Most often all are strings that nobody can be reading piece by piece, or nothing at all.
local plain = match == '' and pcall(function()
  for i = 1, #keys do
    local key = keys[i]
    if call('STRLEN', key) > PIECE then error('large') end
    notes[i] = name .. key
  end
end)
local count = plain and #keys or 0
if not plain then
  for i = 1, #keys do
    local key = keys[i]
    local size, why = redis.pcall('STRLEN', key), nil
    if type(size) == 'table' then
      why = '?' .. size.err
    elseif match ~= '' then
      local _, etag = state(key)
      if etag and etag ~= match then why = '!' .. etag end
      if not etag and ARGV[3] == '1' then why = '-' end
    end
    if why then
      failed[#failed + 1] = (i - 1) .. ' ' .. why
    else
      if size > PIECE then aside(key, size) end
      count = count + 1
      -- In place: no key moves behind one that is still to be looked at.
      keys[count], notes[count] = key, name .. key
    end
  end
end
if count > 0 then
  local from, upto = ARGV[4] and '[' .. ARGV[4], ARGV[4] and '[' .. ARGV[5]
  local whole = from and call('HLEN', '.holdall/times') <= call('ZCARD', '.holdall/index')
  call('UNLINK', unpack(notes, 1, count))
  -- Those that were in `times` are in the index; if all were, and it has as many from the first to
  -- the last, it has no others there.
  if call('HDEL', '.holdall/times', unpack(keys, 1, count)) == count and whole
    and call('ZLEXCOUNT', '.holdall/index', from, upto) == count then
    call('ZREMRANGEBYLEX', '.holdall/index', from, upto)
  else
    call('ZREM', '.holdall/index', unpack(keys, 1, count))
  end
  call('UNLINK', unpack(keys, 1, count))
end
return table.concat(failed, '\\n')
""",
    0,
)

# etag, ttl, move, if_match, if_none_match
COPY = script(
    """\
local source, target, ttl = KEYS[1], KEYS[2], ARGV[2]
local size, etag, found, old = state(source)
if not size then return false end
if ARGV[4] ~= '' and ARGV[4] ~= etag then return '!' .. etag end
local there = size_of(target)
if there and ARGV[5] ~= '' then return '!exists' end
local digests, kept = string.match(old, '^%S+ %S+ %S+ %S+ (%S+) (.*)$')
if not kept then digests, kept = '-', '-' end
if string.sub(etag, 1, 5) == 'sha1-' then digests = '-' end
local line = table.concat({ARGV[1], found, now(), size, digests, kept}, ' ')
note(target, line, ttl)
if source ~= target then
  aside(target, there)
  if ARGV[3] == '' then
    call('COPY', source, target, 'REPLACE')
  else
    aside(source, size, 'COPY')
    call('UNLINK', '.holdall/note/' .. source)
    call('HDEL', '.holdall/times', source)
    call('ZREM', '.holdall/index', source)
    call('RENAME', source, target)
  end
end
if ttl == '' then call('PERSIST', target) else call('PEXPIRE', target, ttl) end
return line
""",
    2,
)
