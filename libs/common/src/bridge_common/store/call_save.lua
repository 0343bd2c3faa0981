-- include: now
-- The record and its deadlines change in one script. Otherwise a step in between could clear a deadline before it is
-- set, and the deadline would outlive the call.
-- KEYS record, timers
-- ARGV token, expected version, number of timers to clear, number of timers to set,
-- timer to clear, ..., timer to set, in_ms, ..., field, value, ...
-- -> 1 saved, 0 another writer was first, -1 no such call
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return -1 end
if redis.call('HGET', KEYS[1], 'saved_by') == ARGV[1] then return 1 end
if version ~= ARGV[2] then return 0 end
local first_set = 5 + tonumber(ARGV[3])
local first_field = first_set + 2 * tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'saved_by', ARGV[1], 'version', tonumber(version) + 1, unpack(ARGV, first_field))
if first_set > 5 then redis.call('ZREM', KEYS[2], unpack(ARGV, 5, first_set - 1)) end
for i = first_set, first_field - 2, 2 do
  redis.call('ZADD', KEYS[2], as_int(now_ms() + tonumber(ARGV[i + 1])), ARGV[i])
end
return 1
