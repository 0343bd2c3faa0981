-- include: now
-- KEYS quota; ARGV token, how many may be out, ms until it is back, ttl_ms, credential   -> {1, 0} or {0, ms to wait}
-- A member is a connection, its score the time when it no longer counts; the members `pause` (for all) and
-- `pause:<credential>` end at their scores. The latter count as a connection, because their number is unknown.
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', as_int(now))
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {1, 0} end
local for_all = redis.call('ZSCORE', KEYS[1], 'pause')
local for_one = redis.call('ZSCORE', KEYS[1], 'pause:' .. ARGV[5])
local pause = math.max(tonumber(for_all or 0), tonumber(for_one or 0))
if pause > 0 then return {0, math.max(1, pause - now)} end
local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if surplus < 0 then
  redis.call('ZADD', KEYS[1], as_int(now + tonumber(ARGV[3])), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  return {1, 0}
end
local back = redis.call('ZRANGE', KEYS[1], surplus, surplus, 'WITHSCORES')
return {0, math.max(1, tonumber(back[2]) - now)}
