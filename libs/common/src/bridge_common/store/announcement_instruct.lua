-- KEYS record, say, wake
-- ARGV call_id, entry, ttl_s, wake length, live status, ...
local status = redis.call('HGET', KEYS[1], 'status')
local live = false
for i = 5, #ARGV do if status == ARGV[i] then live = true end end
if not live then return 0 end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[2])
if redis.call('TTL', KEYS[2]) < 0 then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'say', ARGV[1])
return 1
