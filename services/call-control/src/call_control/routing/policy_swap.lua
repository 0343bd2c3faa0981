-- KEYS routing, news; ARGV the expected value ('' for none), the new value
-- -> 1 the new value is stored, 0 another value is stored
local now = redis.call('GET', KEYS[1]) or ''
if now == ARGV[2] then return 1 end
if now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', 1, '*', 'r', '')
return 1
