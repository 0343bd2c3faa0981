-- include: now
-- KEYS quota; ARGV ms, ttl_ms, `pause` or `pause:<credential>`   -> 1 when it was not paused before
local now = now_ms()
local known = redis.call('ZSCORE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[1], 'GT', as_int(now + tonumber(ARGV[1])), ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return (known and tonumber(known) > now) and 0 or 1
