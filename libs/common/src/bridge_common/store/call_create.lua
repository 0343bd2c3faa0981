-- include: now
-- KEYS record, uplink, downlink, calls, timers, erased
-- ARGV token, call_id, created_ms, ttl_s, opened entry, number of timers to set, timer, in_ms, ..., field, value, ...
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
