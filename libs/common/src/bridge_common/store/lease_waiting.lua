-- include: now
-- KEYS leases, owners   -> the number of calls that no relay has claimed yet
local waiting = 0
for _, call_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', as_int(now_ms()), 'LIMIT', 0, 1000)) do
  if redis.call('HEXISTS', KEYS[2], call_id) == 0 then waiting = waiting + 1 end
end
return waiting
