"""The Lua scripts of the leases: who drives a call, until when, and who may have it next. See scripts."""

from __future__ import annotations

from typing import Final

from bridge_common.store.scripts import NOW

OFFER: Final = (
    NOW
    + """
-- KEYS leases, wake, record; ARGV call_id, wake length   -> the call's status or ''
-- A call that is leased already is left alone.
if redis.call('ZADD', KEYS[1], 'NX', as_int(now_ms()), ARGV[1]) == 1 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
end
return redis.call('HGET', KEYS[3], 'status') or ''
"""
)

_OUTAGE: Final = """
-- Whether nobody was served for so long that all leases are overdue at once: Redis was away, stood still, or this
-- server is the replica of a moment ago. For two heartbeats the owners come first then.
local function owners_first(lease_ms)
  local now = now_ms()
  local served = tonumber(redis.call('HGET', KEYS[2], ':served') or now)
  local quiet_until = tonumber(redis.call('HGET', KEYS[2], ':quiet_until') or 0)
  if math.abs(now - served) > 0.4 * lease_ms then
    quiet_until = now + 0.5 * lease_ms
    redis.call('HSET', KEYS[2], ':quiet_until', as_int(quiet_until))
  end
  if served == now or math.abs(now - served) > 0.05 * lease_ms then
    redis.call('HSET', KEYS[2], ':served', as_int(now))
  end
  return now < quiet_until
end
"""

CLAIM: Final = (
    NOW
    + _OUTAGE
    + """
-- KEYS leases, owners; ARGV owner, limit, lease_ms
-- -> {ms until the next lease ends or -1, {call_id, epoch, uplink cursor, speaker or '', ...}}
local now = now_ms()
local limit = tonumber(ARGV[2])
local quiet = owners_first(tonumber(ARGV[3]))
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', as_int(now), 'LIMIT', 0, quiet and 1000 or limit)
local claimed = {}
for _, call_id in ipairs(due) do
  local previous = redis.call('HGET', KEYS[2], call_id)
  if #claimed < 4 * limit and not (quiet and previous) then
    local epoch = now
    if previous then epoch = math.max(tonumber(string.match(previous, '|(%d+)$')) + 1, now) end
    redis.call('HSET', KEYS[2], call_id, ARGV[1] .. '|' .. as_int(epoch))
    redis.call('ZADD', KEYS[1], as_int(now + tonumber(ARGV[3])), call_id)
    claimed[#claimed + 1] = call_id
    claimed[#claimed + 1] = as_int(epoch)
    claimed[#claimed + 1] = redis.call('HGET', KEYS[2], call_id .. ':uplink') or '0-0'
    claimed[#claimed + 1] = redis.call('HGET', KEYS[2], call_id .. ':speaker') or ''
  end
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {next[2] and math.max(0, tonumber(next[2]) - now) or -1, claimed}
"""
)

RENEW: Final = (
    NOW
    + _OUTAGE
    + """
-- KEYS leases, owners; ARGV lease_ms, owner, call_id, epoch, uplink cursor or '', ...
-- -> the call_ids that are no longer ours
owners_first(tonumber(ARGV[1]))
local deadline = as_int(now_ms() + tonumber(ARGV[1]))
local lost = {}
for i = 3, #ARGV, 3 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[2] .. '|' .. ARGV[i + 1] then
    redis.call('ZADD', KEYS[1], 'XX', deadline, ARGV[i])
    if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[2], ARGV[i] .. ':uplink', ARGV[i + 2]) end
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
"""
)

RELEASE: Final = (
    NOW
    + """
-- KEYS leases, owners, wake; ARGV call_id, owner|epoch, wake length, uplink cursor or '', '1' when it speaks on
-- Another relay may take it now.
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], ARGV[1] .. ':uplink', ARGV[4]) end
if ARGV[5] == '1' then redis.call('HSET', KEYS[2], ARGV[1] .. ':speaker', ARGV[2]) end
redis.call('ZADD', KEYS[1], 'XX', as_int(now_ms()), ARGV[1])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[1])
return 1
"""
)

STOPPED: Final = """
-- KEYS owners; ARGV call_id, owner|epoch that stopped, last audio entry, last tone entry
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1] .. ':stopped', table.concat({ARGV[2], ARGV[3], ARGV[4]}, ' '))
return 1
"""

OVERDUE: Final = (
    NOW
    + """
-- KEYS leases, owners; ARGV call_id, ...   -> call_id, ms since the deadline of its lease, owner|epoch, ...
-- Only calls whose deadline is past.
local now = now_ms()
local found = {}
for _, call_id in ipairs(ARGV) do
  local deadline = redis.call('ZSCORE', KEYS[1], call_id)
  if deadline and tonumber(deadline) < now then
    found[#found + 1] = call_id
    found[#found + 1] = now - tonumber(deadline)
    found[#found + 1] = redis.call('HGET', KEYS[2], call_id) or ''
  end
end
return found
"""
)

END_LEASE: Final = """
-- KEYS leases, owners; ARGV call_id
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. ':uplink', ARGV[1] .. ':speaker', ARGV[1] .. ':stopped')
return 1
"""
