"""The scripts of entities: what is kept where, and how it is read and written.

Behind the prefix of all keys:

    m         hash: format, epoch, number of the last commit (at each start of the server at least
              its clock in microseconds), due, forgotten, index (`sets` or `search`), run and ready
              (of which start of the server the epoch and the index are)
    e         hash: the version and the body of each entity by its id, as `12,{"id":…}`
    i         sorted set of the ids, all scores 0
    c         sorted set of all ids that changed, by the commit; those that are gone too
    r         sorted set of the ids that are gone, by the moment
    n         hash of notes: the version, a blank, the value
  and, where the index is `sets`:
    x         hash: the tokens of each entity and its fields, as `a,b|n:a`
    t:TOKEN   set of the ids of entities with a token
    z:FIELD   sorted set of them by a number
  or, where it is `search`:
    x:ID      hash with the tokens `t` and the numbers `n0`, `n1`, … of an entity, for Search
    f         hash: which of these a field is
    o         hash: how many entities have numbers that the index does not hold, by field
    s         the index of Search

A script answers a text that begins with `?` where it can do nothing: `?run` while nobody has made
ready what is there, since the server was started; `?moved` when somebody else wrote in between.
"""

from __future__ import annotations

from typing import Final

from holdall.haystack.stores.entities import KEPT_MICROS
from holdall.haystack.stores.redis.lua import script

FORMAT: Final = 1
FIELDS: Final = 500
"""How many fields there are at most in an index of Search."""
FIRST_FIELDS: Final = 48
FORGOTTEN_AT_ONCE: Final = 500
CHANGED_AT_ONCE: Final = 5_000

FUNCTIONS: Final = {
    "clock": """\
local function clock()
  local time = call('TIME')
  return time[1] .. string.format('%06d', time[2])
end
""",
    "started": """\
local function started()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
end
""",
    "meta": """\
local function meta()
  local m = call('HMGET', P .. 'm', 'epoch', 'number', 'due', 'forgotten', 'index', 'ready')
  if m[1] and m[6] == started() then return m end
end
""",
    "head": f"""\
local function head(m, known)
  local changed = '*'
  local epoch, number = string.match(known, '^(%S+) (%d+)$')
  if number and epoch == m[1] then
    changed = ''
    if number ~= m[2] then
      local late = call('ZRANGEBYSCORE', P .. 'c', '(' .. number, '+inf',
        'LIMIT', 0, {CHANGED_AT_ONCE})
      changed = #late < {CHANGED_AT_ONCE} and table.concat(late, ' ') or '*'
    end
  end
  return table.concat({{m[1], m[2], clock(), m[3] or '0', m[5], changed}}, ' ')
end
""",
    "words": """\
local function words(text)
  local found = {}
  for one in string.gmatch(text, '%S+') do found[#found + 1] = one end
  return found
end
""",
    "bodies": """\
local function bodies(ids)
  local found = {}
  for at = 1, #ids, 1000 do
    local some = call('HMGET', P .. 'e', unpack(ids, at, math.min(at + 999, #ids)))
    for place = 1, #some do found[#found + 1] = some[place] or '0,' end
  end
  return table.concat(found, '\\n')
end
""",
}

LOOK: Final = script(
    """\
local m = call('HMGET', P .. 'm', 'format', 'index', 'run', 'ready')
return {m[1] or '', m[2] or '', m[3] or '', m[4] or '', started()}
""",
    FUNCTIONS,
)
"""What is there, and which start of the server this is."""

PROBE: Final = script(
    """\
local reply = redis.pcall('FT.SEARCH', P .. 's', '*', 'LIMIT', 0, 0)
return type(reply) == 'table' and reply.err or 'OK'
""",
    FUNCTIONS,
)
"""What becomes of a search within a script: some servers allow none."""

MAKE: Final = script(
    f"""\
if call('HEXISTS', P .. 'm', 'format') == 0 then
  call('HSET', P .. 'm', 'format', {FORMAT}, 'epoch', ARGV[1], 'number', clock(), 'forgotten', 0,
    'index', ARGV[2], 'run', started())
end
""",
    FUNCTIONS,
)
"""Begin, where nobody has begun. epoch, index"""

INDEX: Final = script(
    f"""\
local made = {{'ON', 'HASH', 'PREFIX', 1, P .. 'x:', 'SCHEMA',
  't', 'TAG', 'SEPARATOR', ',', 'CASESENSITIVE'}}
local slots = math.max({FIRST_FIELDS}, call('HLEN', P .. 'f'))
for slot = 0, slots - 1 do
  made[#made + 1] = 'n' .. slot
  made[#made + 1] = 'NUMERIC'
end
local reply = redis.pcall('FT.CREATE', P .. 's', unpack(made))
if type(reply) == 'table' and reply.err then return reply.err end
call('HSET', P .. 'm', 'slots', slots)
return 'OK'
""",
    FUNCTIONS,
)
"""Make the index of Search."""

INDEXED: Final = script(
    """\
local info = redis.pcall('FT.INFO', P .. 's')
if info.err then return info.err end
local function plain(one)
  return type(one) == 'table' and one.ok or one
end
local said = {}
for at = 1, #info - 1, 2 do said[plain(info[at])] = plain(info[at + 1]) end
-- Who deleted all keys has left the index.
call('HSETNX', P .. 'm', 'slots', #said.attributes - 1)
return {tostring(said.indexing), tostring(said.num_docs), tostring(call('ZCARD', P .. 'i')),
  tostring(said.hash_indexing_failures)}
""",
    FUNCTIONS,
)
"""How far the index of Search has come."""

READY: Final = script(
    """\
if call('HGET', P .. 'm', 'run') ~= ARGV[2] then
  -- Since it was started, commits may be gone that somebody knows of: no number comes twice.
  local number = math.max(tonumber(call('HGET', P .. 'm', 'number')), tonumber(clock()))
  call('HSET', P .. 'm', 'run', ARGV[2], 'epoch', ARGV[1],
    'number', string.format('%.0f', number))
end
call('HSET', P .. 'm', 'ready', ARGV[2])
""",
    FUNCTIONS,
)
"""Say that all is ready since this start of the server. epoch, start"""

GET: Final = script(
    """\
local m = meta()
if not m then return '?run' end
local answer = {head(m, ARGV[1]), bodies(words(ARGV[2]))}
for at = 3, #ARGV do answer[#answer + 1] = call('HGET', P .. 'n', ARGV[at]) end
return answer
""",
    FUNCTIONS,
)
"""Entities and notes. known, ids, names of notes …"""

CHANGES: Final = script(
    """\
local m = meta()
if not m then return '?run' end
local since, limit, number = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(m[2])
if since < tonumber(m[4]) or since > number then return {head(m, ARGV[1])} end
local after = '(' .. ARGV[2]
local late = call('ZRANGEBYSCORE', P .. 'c', after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
local upto = m[2]
if #late > 2 * limit then
  -- A commit is answered whole: to the end of that of the last one asked for.
  upto = late[2 * limit]
  late = call('ZRANGEBYSCORE', P .. 'c', after, upto, 'WITHSCORES')
end
local ids = {}
for at = 1, #late, 2 do ids[#ids + 1] = late[at] end
return {head(m, ARGV[1]), upto, table.concat(late, ' '), bodies(ids)}
""",
    FUNCTIONS,
)
"""What changed. known, since, limit"""

_COMMIT: Final = {
    **FUNCTIONS,
    "asked": """\
local function asked(key, ids)
  local found = {}
  for at = 1, #ids, 1000 do
    local some = call('HMGET', key, unpack(ids, at, math.min(at + 999, #ids)))
    for place = 1, #some do found[#found + 1] = some[place] end
  end
  return found
end
""",
    "each": """\
local function each(command, key, args)
  for at = 1, #args, 1000 do
    call(command, key, unpack(args, at, math.min(at + 999, #args)))
  end
end
""",
    "is_expected": """\
local function is_expected(there, expected)
  local version = there and tonumber(string.match(there, '^%d+')) or 0
  return expected == -1 or expected == version or (expected == -2 and version > 0)
end
""",
    "without": """\
-- The words of a text, between commas, that are not in another one; by word.
local function without(text, other)
  local left = {}
  for word in string.gmatch(text, '[^,]+') do left[word] = true end
  for word in string.gmatch(other, '[^,]+') do left[word] = nil end
  return left
end
""",
    "into_sets": """\
local function into_sets(work, ids, there)
  local tokens, numbers, texts = work[4], work[5], work[6]
  local former = asked(P .. 'x', ids)
  local taken, unranked, indexed, gone = {}, {}, {}, {}
  for at, id in ipairs(ids) do
    local was, now = former[at], texts[at]
    if was and was ~= now then
      local split, cut = string.find(was, '|', 1, true), string.find(now, '|', 1, true)
      local words = without(string.sub(was, 1, split - 1), string.sub(now, 1, (cut or 1) - 1))
      for token in pairs(words) do
        if not taken[token] then taken[token] = {} end
        table.insert(taken[token], id)
      end
      words = without(string.sub(was, split + 1), string.sub(now, (cut or 0) + 1))
      for field in pairs(words) do
        if not unranked[field] then unranked[field] = {} end
        table.insert(unranked[field], id)
      end
    end
    if now ~= '' then
      indexed[#indexed + 1] = id
      indexed[#indexed + 1] = now
    else
      gone[#gone + 1] = id
    end
  end
  for token, list in pairs(taken) do each('SREM', P .. 't:' .. token, list) end
  for token, list in pairs(tokens) do each('SADD', P .. 't:' .. token, list) end
  for field, list in pairs(unranked) do each('ZREM', P .. 'z:' .. field, list) end
  for field, list in pairs(numbers) do each('ZADD', P .. 'z:' .. field, list) end
  each('HSET', P .. 'x', indexed)
  each('HDEL', P .. 'x', gone)
end
""",
    "into_search": f"""\
local function into_search(work, ids, there)
  local texts, docs = work[6], work[7]
  local slots, count, room, odd = {{}}, 0, tonumber(call('HGET', P .. 'm', 'slots')), {{}}
  local known = call('HGETALL', P .. 'f')
  for at = 1, #known, 2 do
    slots[known[at]], count = tonumber(known[at + 1]), count + 1
  end
  local function slot_of(field)
    if slots[field] or count >= {FIELDS} then return slots[field] end
    if count >= room then
      local more, added = math.min(room * 3, {FIELDS}), {{}}
      for one = room, more - 1 do
        added[#added + 1] = 'n' .. one
        added[#added + 1] = 'NUMERIC'
      end
      local reply = redis.pcall('FT.ALTER', P .. 's', 'SCHEMA', 'ADD', unpack(added))
      if type(reply) == 'table' and reply.err then return nil end
      room = more
      -- Search goes through all entities once more, and nobody is answered until it has.
      call('HSET', P .. 'm', 'slots', room, 'ready', '')
    end
    slots[field], count = count, count + 1
    call('HSET', P .. 'f', field, slots[field])
    return slots[field]
  end
  local function told(text, by)
    if not string.find(text, '!', 1, true) then return end
    for field in string.gmatch(text, '!([^,]+)') do odd[field] = (odd[field] or 0) + by end
  end
  for at, id in ipairs(ids) do
    local text, key = texts[at], P .. 'x:' .. id
    if there[at] then
      told(call('HGET', key, 't') or '', -1)
      call('DEL', key)
    end
    if text ~= '' then
      local numbers, doc = docs[at], {{}}
      for place = 1, #numbers, 2 do
        local slot = slot_of(numbers[place])
        if slot then
          doc[#doc + 1] = 'n' .. slot
          doc[#doc + 1] = numbers[place + 1]
        else
          text = text .. ',!' .. numbers[place]
        end
      end
      told(text, 1)
      call('HSET', key, 't', text, unpack(doc))
    end
  end
  for field, by in pairs(odd) do
    if by ~= 0 and call('HINCRBY', P .. 'o', field, by) == 0 then call('HDEL', P .. 'o', field) end
  end
end
""",
    "forget": f"""\
local function forget(m, time)
  local long_ago = string.format('%.0f', tonumber(time) - {KEPT_MICROS})
  local late = call('ZRANGEBYSCORE', P .. 'r', '-inf', '(' .. long_ago,
    'LIMIT', 0, {FORGOTTEN_AT_ONCE})
  if #late == 0 then return end
  local forgotten = tonumber(m[4])
  for _, id in ipairs(late) do
    forgotten = math.max(forgotten, tonumber(call('ZSCORE', P .. 'c', id) or 0))
  end
  call('HSET', P .. 'm', 'forgotten', string.format('%.0f', forgotten))
  each('ZREM', P .. 'c', late)
  each('ZREM', P .. 'r', late)
end
""",
}

COMMIT: Final = script(
    """\
local m = meta()
if not m then return '?run' end
local work = cmsgpack.unpack(ARGV[1])
local due, notes, entities = work[1], work[2], work[3]
local search = m[5] == 'search'
if search ~= (work[8] == 'search') then return '?index' end

-- First whether all is as it was expected.
local ids = {}
for at, entity in ipairs(entities) do ids[at] = entity[1] end
local there = asked(P .. 'e', ids)
for at, entity in ipairs(entities) do
  if not is_expected(there[at], entity[2]) then return '?moved' end
end
for at, note in ipairs(notes) do
  if not is_expected(call('HGET', P .. 'n', ARGV[2 * at]), note[1]) then return '?moved' end
end

-- From here on nothing is refused.
local number = string.format('%.0f', call('HINCRBY', P .. 'm', 'number', 1))
if due == '0' then call('HDEL', P .. 'm', 'due')
elseif due ~= '' then call('HSET', P .. 'm', 'due', due) end

local kept, ranks, back, changed, gone, removed = {}, {}, {}, {}, {}, {}
local time = clock()
for at, entity in ipairs(entities) do
  local id, body = entity[1], entity[3]
  if body ~= '' then
    kept[#kept + 1] = id
    kept[#kept + 1] = number .. ',' .. body
    if not there[at] then
      ranks[#ranks + 1] = 0
      ranks[#ranks + 1] = id
      back[#back + 1] = id
    end
  elseif there[at] then
    gone[#gone + 1] = id
    removed[#removed + 1] = time
    removed[#removed + 1] = id
  end
  if body ~= '' or there[at] then
    changed[#changed + 1] = number
    changed[#changed + 1] = id
  end
end
if search then into_search(work, ids, there) else into_sets(work, ids, there) end
each('HDEL', P .. 'e', gone)
each('ZREM', P .. 'i', gone)
each('ZADD', P .. 'r', removed)
each('HSET', P .. 'e', kept)
each('ZADD', P .. 'i', ranks)
if call('EXISTS', P .. 'r') == 1 then each('ZREM', P .. 'r', back) end
each('ZADD', P .. 'c', changed)
for at, note in ipairs(notes) do
  local name = ARGV[2 * at]
  if note[2] == 1 then call('HSET', P .. 'n', name, number .. ' ' .. ARGV[2 * at + 1])
  else call('HDEL', P .. 'n', name) end
end
forget(m, time)
return number
""",
    _COMMIT,
)
"""A commit. `committing.Message`; note, value …"""
