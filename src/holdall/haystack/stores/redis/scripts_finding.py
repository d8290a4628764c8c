"""The scripts that find entities by a condition, and how each kind of index is asked.

There are two ways. `all`: the ids of all that are meant, in no order, where they are not too many.
`walk`: of so many ids in their order, those that are meant; whoever wants a page of very many
asks again and again, and no answer takes the server long. What Search answers are keys, which are
joined as they are: to make ids of thousands takes Lua as long as the search.

A condition is narrowed first to what the index can say: an exact condition stays one, and of any
other it says so. See `conditions` for how it is written.
"""

from __future__ import annotations

from typing import Final

from holdall.haystack.stores.redis.lua import script
from holdall.haystack.stores.redis.scripts import FUNCTIONS

TARGETS: Final = 1_000
"""To how many entities a path may lead that the server follows."""
ALL: Final = 20_000
"""How many are answered at once, or looked at."""
SOUGHT: Final = 10_000
"""How many Search is asked for at once; some servers answer no more."""
WITH_BODIES: Final = 20
"""Of how few the bodies come with the ids."""
WALKED: Final = 2_000
"""Through how many ids one request walks at most."""

_NARROWED: Final = {
    "narrowed": f"""\
local found, is_odd, is_void
local lost = false
local function narrowed(e, walking)
  local kind = e[1]
  if kind == 'r' then
    local held = is_void(e) and {{'-'}} or e
    if not is_odd(e[2]) then return held, true end
    return {{'o', held, {{'t', '!' .. e[2]}}}}, false
  elseif kind == '?' then
    return narrowed(e[2], walking), false
  elseif kind == 'n' then
    local inner, exact = narrowed(e[2], walking)
    if exact then return {{'n', inner}}, true end
    return {{'*'}}, false
  elseif kind == 'a' or kind == 'o' then
    local made, exact = {{kind}}, true
    for at = 2, #e do
      local part, sure = narrowed(e[at], walking)
      exact = exact and sure
      if kind == 'a' or part[1] ~= '-' then made[#made + 1] = part end
    end
    if #made == 1 then return {{kind == 'a' and '*' or '-'}}, exact end
    return #made == 2 and made[2] or made, exact
  elseif kind == 'p' then
    local has = {{'t', e[2]}}
    if walking then return has, false end
    local inner, exact = narrowed(e[3], walking)
    if not exact then return has, false end
    local ids = found(inner, {TARGETS})
    if not ids then return has, false end
    if #ids == 0 then return {{'-'}}, true end
    return {{'T', e[2] .. '=@', ids}}, true
  end
  return e, true
end
""",
}

_ANSWER: Final = """\
local function again()
  -- The index is gone: it is made anew, and then all is asked again.
  call('HSET', P .. 'm', 'ready', '')
  return '?run'
end

local m = meta()
if not m then return '?run' end
if m[5] ~= INDEX then return '?index' end
local walking, limit = ARGV[3] == 'walk', tonumber(ARGV[4])
local e, exact = narrowed(cjson.decode(ARGV[2]), walking)
local sure = exact and '1' or '0'
if walking then
  local after = ARGV[5] == '' and '-' or '(' .. ARGV[5]
  local ids = call('ZRANGEBYLEX', P .. 'i', after, '+', 'LIMIT', 0, limit)
  local last = #ids == limit and ids[#ids] or ''
  local first = 1
  if #ids > 0 and e[1] ~= '*' then
    ids, first, sure = within(e, ids, sure)
  end
  if lost then return again() end
  return {head(m, ARGV[1]), sure, table.concat(ids, ' ', first), last}
end
local ids, first = everything(e, limit)
if lost then return again() end
if not ids then return {head(m, ARGV[1]), sure} end
local with = ''
if #ids - first < FEW then
  ids, first = plain(ids), 1
  table.sort(ids)
  with = bodies(ids)
end
return {head(m, ARGV[1]), sure, table.concat(ids, ' ', first), '', with}
"""
# known, condition, `all` or `walk`, limit, after

# Search.

_SEARCH: Final = {
    **FUNCTIONS,
    **_NARROWED,
    "text": """\
local function quoted(token)
  return (string.gsub(token, '[^%w_]', '\\\\%0'))
end

local function text(e)
  local kind = e[1]
  if kind == 't' then return '@t:{' .. quoted(e[2]) .. '}'
  elseif kind == 'r' then
    return '@n' .. call('HGET', P .. 'f', e[2]) .. ':[' .. e[3] .. ' ' .. e[4] .. ']'
  elseif kind == 'T' then
    local before, tokens = quoted(e[2]), {}
    for at, id in ipairs(e[3]) do tokens[at] = before .. quoted(id) end
    return '@t:{' .. table.concat(tokens, '|') .. '}'
  elseif kind == 'n' then return '(-' .. text(e[2]) .. ')'
  elseif kind == '*' then return '@t:{id}'
  elseif kind == '-' then return '@t:{\\\\!}'
  end
  local parts = {}
  for at = 2, #e do parts[at - 1] = text(e[at]) end
  return '(' .. table.concat(parts, kind == 'a' and ' ' or '|') .. ')'
end
""",
    "knows": """\
function is_odd(field)
  return call('HEXISTS', P .. 'o', field) == 1
end

function is_void(e)
  return call('HEXISTS', P .. 'f', e[2]) == 0
end
""",
    "plain": """\
local function plain(keys)
  local from = #P + 3
  local ids = {}
  for at = 2, #keys do ids[at - 1] = string.sub(keys[at], from) end
  return ids
end
""",
    "sought": """\
local function sought(e, most, keys)
  -- Behind a number the keys of all that are meant, where they are fewer than `most`. Nobody counts
  -- the others, which would take as long as reading them: they would be scored and sorted.
  local args = {P .. 's', text(e), 'WITHOUTCOUNT', 'NOCONTENT', 'LIMIT', 0, most, 'TIMEOUT', 0,
    'DIALECT', 2}
  if keys then
    args[12], args[13] = 'INKEYS', #keys
    for at = 1, #keys do args[13 + at] = keys[at] end
  end
  local reply = redis.pcall('FT.SEARCH', unpack(args))
  if reply.err and string.find(reply.err, 'WITHOUTCOUNT', 1, true) then
    table.remove(args, 3)  -- before Search 2.8
    reply = redis.pcall('FT.SEARCH', unpack(args))
  end
  if not reply.err then return #reply <= most and reply or nil end
  -- The server may be set to answer fewer: then it said nothing of how many there are.
  if string.find(reply.err, 'LIMIT exceeds', 1, true) then return nil end
  if not string.find(string.lower(reply.err), 'index', 1, true) then error(reply.err) end
  lost = true
end

function found(e, most)
  local keys = sought(e, most + 1)
  return keys and plain(keys)
end

local function everything(e, limit)
  return sought(e, ALL), 2
end

local function within(e, ids, sure)
  local keys = {}
  for at, id in ipairs(ids) do keys[at] = P .. 'x:' .. id end
  local some = sought(e, #keys + 1, keys)
  if not some then return ids, 1, '0' end
  return some, 2, sure
end
""",
}

FIND_SEARCH: Final = script(
    f"local INDEX, ALL, FEW = 'search', {SOUGHT}, {WITH_BODIES}\n"
    + "".join(_SEARCH[name] for name in ("narrowed", "knows", "text", "plain", "sought"))
    + _ANSWER,
    FUNCTIONS,
)
"""Find by the index of Search."""

# Sets and sorted sets of our own.

_SETS: Final = f"""\
local AT_ONCE = {WALKED}

function is_odd(field)
  return call('EXISTS', P .. 't:!' .. field) == 1
end

function is_void(e)
  return call('EXISTS', P .. 'z:' .. e[2]) == 0
end

local function few(e)
  -- At most how many there are.
  local kind = e[1]
  if kind == 't' then return call('SCARD', P .. 't:' .. e[2])
  elseif kind == 'r' then return call('ZCOUNT', P .. 'z:' .. e[2], e[3], e[4])
  elseif kind == '-' then return 0
  elseif kind == 'T' then
    local sum = 0
    for _, id in ipairs(e[3]) do sum = sum + call('SCARD', P .. 't:' .. e[2] .. id) end
    return sum
  elseif kind == 'o' then
    local sum = 0
    for at = 2, #e do sum = sum + few(e[at]) end
    return sum
  end
  local least = call('ZCARD', P .. 'i')
  if kind == 'a' then
    for at = 2, #e do least = math.min(least, few(e[at])) end
  end
  return least
end

local function number(bound)
  local open = string.byte(bound) == 40
  if open then bound = string.sub(bound, 2) end
  if bound == '-inf' then return -math.huge, false end
  if bound == '+inf' then return math.huge, false end
  return tonumber(bound), open
end

local members

local function mask(e, ids)
  -- Of each of these ids, at most AT_ONCE, whether it is meant.
  local kind, said = e[1], {{}}
  if kind == 't' then
    local there = call('SMISMEMBER', P .. 't:' .. e[2], unpack(ids))
    for at = 1, #ids do said[at] = there[at] == 1 end
  elseif kind == 'r' then
    local low, above = number(e[3])
    local high, below = number(e[4])
    local scores = call('ZMSCORE', P .. 'z:' .. e[2], unpack(ids))
    for at = 1, #ids do
      local score = scores[at] and tonumber(scores[at])
      said[at] = score ~= nil and score ~= false and (score > low or (not above and score == low))
        and (score < high or (not below and score == high))
    end
  elseif kind == 'n' then
    local inner = mask(e[2], ids)
    for at = 1, #ids do said[at] = not inner[at] end
  elseif kind == 'T' then
    if #ids <= 50 then
      for at = 1, #ids do said[at] = false end
      for _, id in ipairs(e[3]) do
        local there = call('SMISMEMBER', P .. 't:' .. e[2] .. id, unpack(ids))
        for at = 1, #ids do said[at] = said[at] or there[at] == 1 end
      end
    else
      if not e.lookup then
        e.lookup = {{}}
        for _, id in ipairs(members(e)) do e.lookup[id] = true end
      end
      for at, id in ipairs(ids) do said[at] = e.lookup[id] == true end
    end
  elseif kind == 'a' or kind == 'o' then
    local all = kind == 'a'
    for at = 1, #ids do said[at] = all end
    for part = 2, #e do
      local inner = mask(e[part], ids)
      for at = 1, #ids do
        if all then said[at] = said[at] and inner[at] else said[at] = said[at] or inner[at] end
      end
    end
  else
    for at = 1, #ids do said[at] = kind == '*' end
  end
  return said
end

local function filtered(ids, e)
  local left = {{}}
  for first = 1, #ids, AT_ONCE do
    local some = {{}}
    for at = first, math.min(first + AT_ONCE - 1, #ids) do some[#some + 1] = ids[at] end
    local said = mask(e, some)
    for at, id in ipairs(some) do
      if said[at] then left[#left + 1] = id end
    end
  end
  return left
end

local function union(lists)
  local seen, ids = {{}}, {{}}
  for _, list in ipairs(lists) do
    for _, id in ipairs(list) do
      if not seen[id] then
        seen[id] = true
        ids[#ids + 1] = id
      end
    end
  end
  return ids
end

function members(e)
  local kind = e[1]
  if kind == 't' then return call('SMEMBERS', P .. 't:' .. e[2])
  elseif kind == 'r' then return call('ZRANGEBYSCORE', P .. 'z:' .. e[2], e[3], e[4])
  elseif kind == '-' then return {{}}
  elseif kind == '*' then return call('ZRANGE', P .. 'i', 0, -1)
  elseif kind == 'n' then return filtered(call('ZRANGE', P .. 'i', 0, -1), e)
  elseif kind == 'T' then
    local lists = {{}}
    for at, id in ipairs(e[3]) do lists[at] = call('SMEMBERS', P .. 't:' .. e[2] .. id) end
    return union(lists)
  elseif kind == 'o' then
    local lists = {{}}
    for at = 2, #e do lists[at - 1] = members(e[at]) end
    return union(lists)
  end
  local best, least, tokens, rest = nil, math.huge, {{}}, {{'a'}}
  for at = 2, #e do
    local count = few(e[at])
    if count < least then best, least = at, count end
    if e[at][1] == 't' then tokens[#tokens + 1] = P .. 't:' .. e[at][2] end
  end
  if #tokens > 1 and e[best][1] == 't' then
    for at = 2, #e do
      if e[at][1] ~= 't' then rest[#rest + 1] = e[at] end
    end
    local ids = call('SINTER', unpack(tokens))
    return #rest > 1 and filtered(ids, rest) or ids
  end
  for at = 2, #e do
    if at ~= best then rest[#rest + 1] = e[at] end
  end
  local ids = members(e[best])
  return #rest > 1 and filtered(ids, rest) or ids
end

function found(e, most)
  if few(e) > 20 * most then return nil end
  local ids = members(e)
  if #ids <= most then return ids end
end

local function quick(e)
  local kind = e[1]
  if kind ~= 'a' and kind ~= 'o' then return kind ~= 'n' end
  for at = 2, #e do
    if not (kind == 'a' and e[at][1] == 't' or kind == 'o' and quick(e[at])) then return false end
  end
  return true
end

local function everything(e, limit)
  local most = few(e)
  if most <= ALL or (limit * 4 > most and quick(e)) then return members(e), 1 end
end

local function within(e, ids, sure)
  return filtered(ids, e), 1, sure
end

local function plain(ids)
  return ids
end
"""

FIND_SETS: Final = script(
    f"local INDEX, ALL, FEW = 'sets', {ALL}, {WITH_BODIES}\n"
    + _NARROWED["narrowed"]
    + _SETS
    + _ANSWER,
    FUNCTIONS,
)
"""Find by sets and sorted sets."""
