"""What the server does: one Lua script for each request, atomic and in one round trip.

What is in the database, beside the values themselves, which stand under their own keys:

    .holdall/index          sorted set of all keys, all scores 0: the order of listings
    .holdall/times          hash of keys and when they were written: what listings show of a note,
                            for the values that do not live for a set time only
    .holdall/note/<key>     what is known of a value, one line, see below
    .holdall/pin/<key>      the pin of the readers of a large value, while there are any
    .holdall/readers/<pin>  set of these readers
    .holdall/old/<pin>      a value that was replaced while they read it
    .holdall/serial         counter that names pins and readers
    .holdall/uploads        sorted set of uploads: key, NUL, id
    .holdall/upload/<id>    hash: what an upload will become, and who writes to it until when
    .holdall/staged/<id>    its bytes

A note is `etag fingerprint modified size digests kept`, of which the first three have a fixed
width. It is true of the value only as long as the value has that size and fingerprint; another
program may have written since. The fingerprint is the SHA-1 of the value; above 1 MiB, of the
digests of its pieces of 1 MiB, so that no script holds all of a large value in Lua's memory.

What the users of a store keep in `.holdall`, here or in a folder, are objects like all others, in
the index too; listings go past them.

Each key in `times` is in `index` too, so that an index that is shorter has lost something: keys
are taken into `times` last and out of it first. A key that is not in `times` costs its listing the
look at its note, and nothing else.

A script that writes does so first under `.holdall`, last under the key: whoever is not permitted
to do the one has then not done the other.
"""

from __future__ import annotations

import hashlib
from typing import final

from msgspec import Struct

from holdall.core.reference import MAX_KEY_BYTES, MAX_SEGMENT_BYTES
from holdall.objects.options import PAGE_ITEMS

PIECE_BYTES = 1024 * 1024
"""What a fingerprint is made of, and the largest body that comes with the answer."""

LEASE_SECONDS = 60
"""How long a reader or a writer that says nothing keeps what it holds."""

OWN_NAMES = frozenset(
    {"index", "times", "note", "pin", "readers", "old", "serial", "uploads", "upload", "staged"}
)
"""What is ours in the database's `.holdall`; other names there are for who uses the store."""

_FIRST = f"""\
local PIECE, LEASE, PAGE = {PIECE_BYTES}, {LEASE_SECONDS * 1000}, {PAGE_ITEMS}
local KEY, SEGMENT = {MAX_KEY_BYTES}, {MAX_SEGMENT_BYTES}
local call = redis.call
"""

# In this order; one may call those above it.
_FUNCTIONS = {
    "size_of": """\
local function size_of(key)
  local size = call('STRLEN', key)
  if size == 0 and call('EXISTS', key) == 0 then return nil end
  return size
end
""",
    "fingerprint": """\
local function fingerprint(key, size, first)
  if size <= PIECE then return redis.sha1hex(call('GET', key)) end
  local pieces, start = {}, first or 0
  local stop = start + size
  for at = start, stop - 1, PIECE do
    local last = math.min(at + PIECE, stop) - 1
    pieces[#pieces + 1] = redis.sha1hex(call('GETRANGE', key, at, last))
  end
  return redis.sha1hex(table.concat(pieces))
end
""",
    "state": """\
local function state(key)
  local size = size_of(key)
  if not size then return nil end
  local note = call('GET', '.holdall/note/' .. key) or ''
  local found = fingerprint(key, size)
  if string.sub(note, 34, 73) == found then
    return size, string.sub(note, 1, 32), found, note
  end
  return size, 'sha1-' .. found, found, note
end
""",
    "refused": """\
local function refused(key, match, none)
  if none ~= '' and size_of(key) then return '!exists' end
  if match ~= '' then
    local size, etag = state(key)
    if etag ~= match then return '!' .. (etag or '') end
  end
end
""",
    "aside": """\
local function aside(key, size, copy)
  if not size or size <= PIECE then return end
  local pin = call('GET', '.holdall/pin/' .. key)
  if pin then
    call(copy or 'RENAME', key, '.holdall/old/' .. pin)
    call('PEXPIRE', '.holdall/old/' .. pin, LEASE)
    call('DEL', '.holdall/pin/' .. key)
  end
end
""",
    "now": """\
local function now()
  local time = call('TIME')
  return string.format('%010d%06d', time[1], time[2])
end
""",
    "note": """\
local function note(key, line, ttl)
  call('ZADD', '.holdall/index', 0, key)
  if ttl == '' then
    call('SET', '.holdall/note/' .. key, line)
    call('HSET', '.holdall/times', key, string.sub(line, 75, 90))
  else
    call('SET', '.holdall/note/' .. key, line, 'PX', ttl)
    call('HDEL', '.holdall/times', key)
  end
end
""",
    "unpin": """\
local function unpin(key, pin, reader)
  call('SREM', '.holdall/readers/' .. pin, reader)
  if call('SCARD', '.holdall/readers/' .. pin) == 0 then
    call('UNLINK', '.holdall/old/' .. pin)
    if call('GET', '.holdall/pin/' .. key) == pin then call('DEL', '.holdall/pin/' .. key) end
  end
end
""",
    "busy": """\
local function busy(id, owner)
  local holder = call('HGET', '.holdall/upload/' .. id, 'owner')
  if not holder then return '?ended' end
  if holder ~= owner then return '?taken' end
end
""",
    "drop": """\
local function drop(id)
  local key = call('HGET', '.holdall/upload/' .. id, 'key')
  call('UNLINK', '.holdall/upload/' .. id, '.holdall/staged/' .. id)
  if key then call('ZREM', '.holdall/uploads', key .. '\\0' .. id) end
end
""",
    "cut": """\
local function cut(id, size)
  local staged = '.holdall/staged/' .. id
  local length = call('STRLEN', staged)
  if length < size then return '?short' end
  if length > size then
    -- A reply was lost on its way, and its bytes are sent once more.
    if size == 0 then call('DEL', staged)
    else call('SET', staged, call('GETRANGE', staged, 0, size - 1)) end
  end
end
""",
    "hold": """\
local function hold(id, owner)
  local time = call('TIME')
  call('HSET', '.holdall/upload/' .. id, 'owner', owner,
    'until', string.format('%.0f', time[1] * 1000 + LEASE))
end
""",
}


@final
class Script(Struct, frozen=True):
    """A script and the name that the server knows it by.

    Args:
        source: The text in Lua.
        sha: Its SHA-1.
        keys: How many of its arguments are keys.
    """

    source: bytes
    sha: bytes
    keys: int


def script(text: str, keys: int = 1, *, before: str = "") -> Script:
    """A script of our own functions, those that it calls, and a text.

    Args:
        text: What it does.
        keys: How many of its arguments are keys.
        before: What it does before it needs any function: each costs a little at every run.
    """
    needed: list[str] = []
    for name, function in reversed(_FUNCTIONS.items()):
        if f"{name}(" in "".join([text, *needed]):
            needed.insert(0, function)
    source = "".join([_FIRST, before, *needed, text]).encode()
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(source, sha, keys)
