-- include: now
-- KEYS timers, inbox; ARGV limit, inbox length   -> {number of fired timers, ms until the next one is due or -1}
-- A timer's member is the Due entry itself.
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', as_int(now), 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'e', member)
  redis.call('ZREM', KEYS[1], member)
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {#due, next[2] and math.max(0, tonumber(next[2]) - now) or -1}
