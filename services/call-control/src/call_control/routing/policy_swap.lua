-- KEYS routing, news; ARGV what stands there ('' for nothing), what is to stand there
-- -> 1 it does, 0 something else does
local now = redis.call('GET', KEYS[1]) or ''
if now == ARGV[2] then return 1 end
if now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', 1, '*', 'r', '')
return 1
