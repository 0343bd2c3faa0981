-- include: now
-- KEYS record, say, wake
-- ARGV call_id, say id, entry, first, ttl_s, max waiting, max per minute, wake length, live status, ...
-- -> {outcome, ms until a retry makes sense}   The reader ignores a piece that was added twice.
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {'unknown', 0} end
local live = false
for i = 9, #ARGV do if status == ARGV[i] then live = true end end
if not live then return {'ended', 0} end
if string.find(redis.call('HGET', KEYS[1], 'dropped_says') or '', ARGV[2], 1, true) then return {'interrupted', 0} end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[6]) then return {'full', 5000} end
if ARGV[4] == '1' then
  local now = now_ms()
  local minute = as_int(math.floor(now / 60000))
  if redis.call('HGET', KEYS[1], 'say_minute') ~= minute then
    redis.call('HSET', KEYS[1], 'say_minute', minute, 'says', '0')
  end
  if redis.call('HINCRBY', KEYS[1], 'says', 1) > tonumber(ARGV[7]) then return {'often', 60000 - now % 60000} end
end
redis.call('XADD', KEYS[2], '*', 'e', ARGV[3])
if redis.call('TTL', KEYS[2]) < 0 then redis.call('EXPIRE', KEYS[2], ARGV[5]) end
if ARGV[4] == '1' then redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[8], '*', 'say', ARGV[1]) end
return {'added', 0}
