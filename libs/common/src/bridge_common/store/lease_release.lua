-- include: now
-- KEYS leases, owners, wake; ARGV call_id, owner|epoch, wake length, uplink cursor or '', '1' to keep the downlink
-- Another relay may claim the call from now on.
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], ARGV[1] .. ':uplink', ARGV[4]) end
if ARGV[5] == '1' then redis.call('HSET', KEYS[2], ARGV[1] .. ':speaker', ARGV[2]) end
redis.call('ZADD', KEYS[1], 'XX', as_int(now_ms()), ARGV[1])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[1])
return 1
