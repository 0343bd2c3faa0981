-- KEYS record, uplink, downlink, say, transcript, erased, calls, leases, owners
-- ARGV token, call_id, expected version, ttl_s of the key `erased`   -> 1 erased, 0 the record was changed
if redis.call('GET', KEYS[6]) == ARGV[1] then return 1 end
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[6], ARGV[1], 'EX', ARGV[4])
for i = 1, 5 do redis.call('DEL', KEYS[i]) end
redis.call('ZREM', KEYS[7], ARGV[2])
redis.call('ZREM', KEYS[8], ARGV[2])
redis.call('HDEL', KEYS[9], ARGV[2], ARGV[2] .. ':uplink', ARGV[2] .. ':speaker', ARGV[2] .. ':stopped')
return 1
