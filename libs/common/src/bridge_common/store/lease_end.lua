-- KEYS leases, owners; ARGV call_id
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. ':uplink', ARGV[1] .. ':speaker', ARGV[1] .. ':stopped')
return 1
