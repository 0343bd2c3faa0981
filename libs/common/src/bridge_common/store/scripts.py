"""The Lua scripts of the project; those of the leases are in lease_scripts.

All times are Redis's own, so no client's clock matters.

A script whose answer was lost on the way is sent again. Where the second run would answer differently ("it exists
already", "somebody was faster") it gets a token of the attempt, stores it, and gives the same answer to the same token.
"""

from __future__ import annotations

from typing import Final

NOW: Final = """
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function as_int(n) return string.format('%.0f', n) end
"""
"""What goes before a script that needs the time."""

CREATE_CALL: Final = (
    NOW
    + """
-- KEYS record, uplink, downlink, calls, timers, erased
-- ARGV token, call_id, created_ms, ttl_s, opened entry, how many timers to set, timer, in_ms, ..., field, value, ...
if redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.call('HGET', KEYS[1], 'created_by') == ARGV[1] and 1 or 0
end
if redis.call('EXISTS', KEYS[6]) == 1 then return 0 end
local first_field = 7 + 2 * tonumber(ARGV[6])
redis.call('HSET', KEYS[1], 'created_by', ARGV[1], unpack(ARGV, first_field))
for i = 7, first_field - 2, 2 do
  redis.call('ZADD', KEYS[5], as_int(now_ms() + tonumber(ARGV[i + 1])), ARGV[i])
end
for i = 2, 3 do
  redis.call('DEL', KEYS[i])
  redis.call('XADD', KEYS[i], '0-1', 'e', ARGV[5])
  redis.call('EXPIRE', KEYS[i], ARGV[4])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
return 1
"""
)

RESTORE_CALL: Final = (
    NOW
    + """
-- KEYS record, uplink, downlink, calls, leases, owners, erased
-- ARGV call_id, created_ms, ttl_s, opened entry, owner|epoch, lease_ms, field, value, ...   -> 1 it is the owner's
if redis.call('EXISTS', KEYS[7]) == 1 then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 7))
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  for i = 2, 3 do
    if redis.call('EXISTS', KEYS[i]) == 0 then redis.call('XADD', KEYS[i], '0-1', 'e', ARGV[4]) end
    redis.call('EXPIRE', KEYS[i], ARGV[3])
  end
  redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
  if redis.call('HSETNX', KEYS[6], ARGV[1], ARGV[5]) == 1 then
    redis.call('ZADD', KEYS[5], as_int(now_ms() + tonumber(ARGV[6])), ARGV[1])
  end
end
return redis.call('HGET', KEYS[6], ARGV[1]) == ARGV[5] and 1 or 0
"""
)

SAVE_CALL: Final = (
    NOW
    + """
-- The record and its deadlines change in one script. Otherwise a step in between could clear a deadline before it is
-- set, and the deadline would outlive the call.
-- KEYS record, timers
-- ARGV token, expected version, how many timers to clear, how many to set,
-- timer to clear, ..., timer to set, in_ms, ..., field, value, ...
-- -> 1 saved, 0 somebody was faster, -1 no such call
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return -1 end
if redis.call('HGET', KEYS[1], 'saved_by') == ARGV[1] then return 1 end
if version ~= ARGV[2] then return 0 end
local first_set = 5 + tonumber(ARGV[3])
local first_field = first_set + 2 * tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'saved_by', ARGV[1], 'version', tonumber(version) + 1, unpack(ARGV, first_field))
if first_set > 5 then redis.call('ZREM', KEYS[2], unpack(ARGV, 5, first_set - 1)) end
for i = first_set, first_field - 2, 2 do
  redis.call('ZADD', KEYS[2], as_int(now_ms() + tonumber(ARGV[i + 1])), ARGV[i])
end
return 1
"""
)

ATTACH_MEDIA: Final = (
    NOW
    + """
-- KEYS record, downlink; ARGV status that is live, ...   -> {epoch, last downlink id} or nil
local status = redis.call('HGET', KEYS[1], 'status')
local live = false
for i = 1, #ARGV do if status == ARGV[i] then live = true end end
if not live then return nil end
local epoch = math.max(tonumber(redis.call('HGET', KEYS[1], 'uplink_epoch') or '0') + 1, now_ms())
redis.call('HSET', KEYS[1], 'uplink_epoch', as_int(epoch))
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {as_int(epoch), last[1] and last[1][1] or '0-0'}
"""
)

NOTE_VOICE: Final = """
-- KEYS record, owners, inbox; ARGV call_id, owner|epoch, entry for the inbox or '', inbox length, field, value, ...
-- -> 1 written, 0 the lease is not ours
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
if ARGV[3] ~= '' then redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3]) end
return 1
"""

MARK_GREETED: Final = """
-- KEYS record; ARGV token   -> 1 for the first who asks
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[1], 'greeted') == '1' then
  return redis.call('HGET', KEYS[1], 'greeted_by') == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[1], 'greeted', '1', 'greeted_by', ARGV[1])
return 1
"""

ADD_SAY: Final = (
    NOW
    + """
-- KEYS record, say, wake
-- ARGV call_id, say id, entry, first, ttl_s, most waiting, most a minute, wake length, status that is live, ...
-- -> {what became of it, ms until another try}   A piece that is added twice is one to its reader.
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {'unknown', 0} end
local live = false
for i = 9, #ARGV do if status == ARGV[i] then live = true end end
if not live then return {'ended', 0} end
if string.find(redis.call('HGET', KEYS[1], 'dropped_says') or '', ARGV[2], 1, true) then return {'interrupted', 0} end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[6]) then return {'full', 5000} end
if ARGV[4] == '1' then
  local now = now_ms()
  local minute = as_int(math.floor(now / 60000))
  if redis.call('HGET', KEYS[1], 'say_minute') ~= minute then
    redis.call('HSET', KEYS[1], 'say_minute', minute, 'says', '0')
  end
  if redis.call('HINCRBY', KEYS[1], 'says', 1) > tonumber(ARGV[7]) then return {'often', 60000 - now % 60000} end
end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[3])
if redis.call('TTL', KEYS[2]) < 0 then redis.call('EXPIRE', KEYS[2], ARGV[5]) end
if ARGV[4] == '1' then redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[8], '*', 'say', ARGV[1]) end
return {'added', 0}
"""
)

NOTE_SAID: Final = """
-- KEYS record, owners, say; ARGV call_id, owner|epoch, said, dropped say ids, oldest piece to keep or ''
-- -> 1 noted, 0 the lease is not ours
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'said', ARGV[3], 'dropped_says', ARGV[4])
if ARGV[5] ~= '' then redis.call('XTRIM', KEYS[3], 'MINID', ARGV[5]) end
return 1
"""

APPEND_TRANSCRIPT: Final = (
    NOW
    + """
-- KEYS transcript, record, erased; ARGV entry, length, ttl_s, '1' for an entry that people are not shown
-- The same bytes again are the same entry sent again. Of an ended call it is kept until `transcript_until`.
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
local left_ms = tonumber(ARGV[3]) * 1000
local keep_until = redis.call('HGET', KEYS[2], 'transcript_until')
if keep_until then left_ms = tonumber(keep_until) - now_ms() end
if left_ms <= 0 or (keep_until and ARGV[4] == '1') then return 0 end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 8)
for _, stored in ipairs(last) do if stored[2][2] == ARGV[1] then return 0 end end
if ARGV[4] == '1' then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1], 'p', '1')
else
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
end
if redis.call('TTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], as_int(left_ms)) end
return 1
"""
)

END_STREAMS: Final = (
    NOW
    + """
-- KEYS uplink, downlink, say, record, transcript; ARGV final id, ended entry, ttl_s, ttl_s of record, of transcript
for i = 1, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    local last = redis.call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)
    if not (last[1] and last[1][1] == ARGV[1]) then redis.call('XADD', KEYS[i], ARGV[1], 'e', ARGV[2]) end
    redis.call('EXPIRE', KEYS[i], ARGV[3])
  end
end
redis.call('EXPIRE', KEYS[3], ARGV[3])
if redis.call('EXPIRE', KEYS[4], ARGV[4]) == 1 then
  redis.call('HSET', KEYS[4], 'transcript_until', as_int(now_ms() + 1000 * tonumber(ARGV[5])))
end
-- What people are not shown was for a relay that goes on with the call.
for _, stored in ipairs(redis.call('XRANGE', KEYS[5], '-', '+')) do
  if stored[2][3] == 'p' then redis.call('XDEL', KEYS[5], stored[1]) end
end
redis.call('EXPIRE', KEYS[5], ARGV[5])
return 1
"""
)

ERASE_CALL: Final = """
-- KEYS record, uplink, downlink, say, transcript, erased, calls, leases, owners
-- ARGV token, call_id, expected version, ttl_s of the note that it was erased   -> 1 erased, 0 the record was changed
if redis.call('GET', KEYS[6]) == ARGV[1] then return 1 end
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[6], ARGV[1], 'EX', ARGV[4])
for i = 1, 5 do redis.call('DEL', KEYS[i]) end
redis.call('ZREM', KEYS[7], ARGV[2])
redis.call('ZREM', KEYS[8], ARGV[2])
redis.call('HDEL', KEYS[9], ARGV[2], ARGV[2] .. ':uplink', ARGV[2] .. ':speaker', ARGV[2] .. ':stopped')
return 1
"""

BEAT: Final = (
    NOW
    + """
-- KEYS fleet; ARGV name, the row without its time (a JSON object)
return redis.call('HSET', KEYS[1], ARGV[1], string.sub(ARGV[2], 1, -2) .. ', "beat_ms": ' .. as_int(now_ms()) .. '}')
"""
)

LIVE_FLEET: Final = (
    NOW
    + """
-- KEYS fleet   -> {now, {name, row, ...}}
return {now_ms(), redis.call('HGETALL', KEYS[1])}
"""
)

SWAP_ROUTING: Final = """
-- KEYS routing, news; ARGV what stands there ('' for nothing), what is to stand there
-- -> 1 it does, 0 something else does
local now = redis.call('GET', KEYS[1]) or ''
if now == ARGV[2] then return 1 end
if now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', 1, '*', 'r', '')
return 1
"""

PUT_ONCE: Final = """
-- KEYS inbox, seen, ...; ARGV entry, inbox length, ttl_s   -> entry id, or nil when any of the keys was seen before
for i = 2, #KEYS do if redis.call('EXISTS', KEYS[i]) == 1 then return nil end end
for i = 2, #KEYS do redis.call('SET', KEYS[i], '1', 'EX', ARGV[3]) end
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
"""

PUT_AS_OWNER: Final = """
-- KEYS inbox, owners; ARGV call_id, owner|epoch, entry, inbox length   -> 1 put, 0 the lease is not the owner's
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3])
return 1
"""

ACKNOWLEDGE: Final = """
-- KEYS inbox; ARGV group, entry id
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])
"""

FORGET_CONSUMERS: Final = """
-- KEYS inbox; ARGV group, idle_ms, consumer that stays, ...   -> how many are gone
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local stays = {}
for i = 3, #ARGV do stays[ARGV[i]] = true end
local gone = 0
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #row, 2 do consumer[row[i]] = row[i + 1] end
  if not stays[consumer.name] and consumer.pending == 0 and consumer.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    gone = gone + 1
  end
end
return gone
"""

FIRE_TIMERS: Final = (
    NOW
    + """
-- KEYS timers, inbox; ARGV limit, inbox length   -> {how many, ms until the next one is due or -1}
-- A timer's member is the Due entry itself.
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', as_int(now), 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'e', member)
  redis.call('ZREM', KEYS[1], member)
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {#due, next[2] and math.max(0, tonumber(next[2]) - now) or -1}
"""
)

ADMIT_RING: Final = (
    NOW
    + """
-- KEYS bucket, reported, bucket, reported, ...; ARGV call_id, window_ms, most calls in the first bucket, ...
-- -> {0, 0} counted, {the bucket that is full (from 1), 1 unless that was reported in the window}
-- A member of a bucket is a call, its score the time when it no longer counts. A call that is turned away is not added.
local now = now_ms()
for i = 1, #KEYS, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', as_int(now))
  if redis.call('ZSCORE', KEYS[i], ARGV[1]) then return {0, 0} end
end
for i = 1, #KEYS, 2 do
  local bucket = (i + 1) / 2
  if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[2 + bucket]) then
    local first = redis.call('SET', KEYS[i + 1], '1', 'PX', ARGV[2], 'NX')
    return {bucket, first and 1 or 0}
  end
end
for i = 1, #KEYS, 2 do
  redis.call('ZADD', KEYS[i], as_int(now + tonumber(ARGV[2])), ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return {0, 0}
"""
)

TAKE_CONNECTION: Final = (
    NOW
    + """
-- KEYS quota; ARGV token, how many may be out, ms until it is back, ttl_ms   -> {1, 0} or {0, ms to wait}
-- A member is a connection, its score the time when it no longer counts; the member `pause` ends at its score.
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', as_int(now))
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {1, 0} end
local pause = redis.call('ZSCORE', KEYS[1], 'pause')
if pause then return {0, math.max(1, tonumber(pause) - now)} end
local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if surplus < 0 then
  redis.call('ZADD', KEYS[1], as_int(now + tonumber(ARGV[3])), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return {1, 0}
end
local back = redis.call('ZRANGE', KEYS[1], surplus, surplus, 'WITHSCORES')
return {0, math.max(1, tonumber(back[2]) - now)}
"""
)

FREE_CONNECTIONS: Final = (
    NOW
    + """
-- KEYS quota; ARGV how many may be out   -> how many more may be taken now
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', as_int(now_ms()))
if redis.call('ZSCORE', KEYS[1], 'pause') then return 0 end
return math.max(0, tonumber(ARGV[1]) - redis.call('ZCARD', KEYS[1]))
"""
)

GIVE_BACK_CONNECTION: Final = (
    NOW
    + """
-- KEYS quota; ARGV token, ms until it is back
return redis.call('ZADD', KEYS[1], 'XX', 'LT', as_int(now_ms() + tonumber(ARGV[2])), ARGV[1])
"""
)

PAUSE_CONNECTIONS: Final = (
    NOW
    + """
-- KEYS quota; ARGV ms, ttl_ms   -> 1 when it was not paused before
local now = now_ms()
local known = redis.call('ZSCORE', KEYS[1], 'pause')
redis.call('ZADD', KEYS[1], 'GT', as_int(now + tonumber(ARGV[1])), 'pause')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return (known and tonumber(known) > now) and 0 or 1
"""
)
