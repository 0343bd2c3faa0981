-- KEYS inbox, seen, ...; ARGV entry, inbox length, ttl_s   -> entry id, or nil when any of the keys was seen before
for i = 2, #KEYS do if redis.call('EXISTS', KEYS[i]) == 1 then return nil end end
for i = 2, #KEYS do redis.call('SET', KEYS[i], '1', 'EX', ARGV[3]) end
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
