-- include: now
-- KEYS calls of a rule   -> {call_id, ms since it joined, ...}
local found, now = {}, now_ms()
for i, value in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')) do
  found[i] = i % 2 == 1 and value or now - tonumber(value)
end
return found
