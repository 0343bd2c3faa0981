-- include: now
-- KEYS quota; ARGV token, ms until it is back
return redis.call('ZADD', KEYS[1], 'XX', 'LT', as_int(now_ms() + tonumber(ARGV[2])), ARGV[1])
