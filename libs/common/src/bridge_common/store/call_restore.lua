-- include: now
-- KEYS record, uplink, downlink, calls, leases, owners, erased
-- ARGV call_id, created_ms, ttl_s, opened entry, owner|epoch, lease_ms, field, value, ...
-- -> 1 the owner has the lease
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
