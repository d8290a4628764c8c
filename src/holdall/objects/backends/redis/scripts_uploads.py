"""The scripts behind uploads."""

from __future__ import annotations

from holdall.objects.backends.redis.lua import script

# id, owner, options
BEGIN = script(
    """\
local id, key = ARGV[1], KEYS[1]
call('STRLEN', key)
call('HSET', '.holdall/upload/' .. id, 'key', key, 'begun', now(), 'options', ARGV[3])
hold(id, ARGV[2])
call('ZADD', '.holdall/uploads', 0, key .. '\\0' .. id)
return '='
""",
)

# id, owner
RESUME = script(
    """\
local id, place = ARGV[1], '.holdall/upload/' .. ARGV[1]
local found = call('HMGET', place, 'key', 'options', 'owner', 'until')
if found[1] ~= KEYS[1] then return false end
local time = call('TIME')
if found[3] ~= '' and tonumber(found[4]) > time[1] * 1000 then return '?taken' end
hold(id, ARGV[2])
return '=' .. call('STRLEN', '.holdall/staged/' .. id) .. ' ' .. found[2]
""",
)

# id, owner, offset, data
APPEND = script(
    """\
local why = busy(ARGV[1], ARGV[2]) or cut(ARGV[1], tonumber(ARGV[3]))
if why then return why end
hold(ARGV[1], ARGV[2])
call('APPEND', '.holdall/staged/' .. ARGV[1], ARGV[4])
return '='
""",
    0,
)

# id, owner, at, count
STAGED = script(
    """\
local why = busy(ARGV[1], ARGV[2])
if why then return why end
hold(ARGV[1], ARGV[2])
return '=' .. call('GETRANGE', '.holdall/staged/' .. ARGV[1], ARGV[3], ARGV[3] + ARGV[4] - 1)
""",
    0,
)

# id, owner, size, etag, fingerprint, tail of the note, ttl, if_match, if_none_match
COMMIT = script(
    """\
local key, id, ttl = KEYS[1], ARGV[1], ARGV[7]
local staged = '.holdall/staged/' .. id
local why = busy(id, ARGV[2]) or cut(id, tonumber(ARGV[3])) or refused(key, ARGV[8], ARGV[9])
if why then return why end
local there = call('STRLEN', key)
local found = ARGV[5]
if ARGV[3] == '0' then
  call('SET', staged, '')
end
if found == '' then found = fingerprint(staged, tonumber(ARGV[3])) end
local time = now()
note(key, ARGV[4] .. ' ' .. found .. ' ' .. time .. ARGV[6], ttl)
aside(key, there)
if ttl ~= '' then call('PEXPIRE', staged, ttl) end
call('RENAME', staged, key)
drop(id)
return '=' .. time
""",
)

# id, owner
ABORT = script("if not busy(ARGV[1], ARGV[2]) then drop(ARGV[1]) end", 0)

# id, owner
LET_GO = script(
    """\
if not busy(ARGV[1], ARGV[2]) then call('HSET', '.holdall/upload/' .. ARGV[1], 'owner', '') end
""",
    0,
)

# first member with its bracket, last with its own
PAGE = script(
    """\
local out = {}
local members = call('ZRANGEBYLEX', '.holdall/uploads', ARGV[1], ARGV[2], 'LIMIT', 0,
  PAGE + 1)
for i = 1, math.min(#members, PAGE) do
  local key, id = string.match(members[i], '^(.*)%z(.*)$')
  local note = call('HMGET', '.holdall/upload/' .. id, 'begun', 'options')
  if note[1] then
    local size = call('STRLEN', '.holdall/staged/' .. id)
    local sha256 = cjson.decode(note[2]).sha256
    if type(sha256) ~= 'string' then sha256 = '' end
    out[#out + 1] = table.concat({key, id, size, note[1], sha256}, '\\t')
  end
end
return {members[PAGE + 1] and members[PAGE] or '', table.concat(out, '\\n')}
""",
    0,
)
