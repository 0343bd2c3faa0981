-- include: now
-- KEYS quota; ARGV how many may be out   -> how many more may be taken now
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', as_int(now_ms()))
if redis.call('ZSCORE', KEYS[1], 'pause') then return 0 end
return math.max(0, tonumber(ARGV[1]) - redis.call('ZCARD', KEYS[1]))
