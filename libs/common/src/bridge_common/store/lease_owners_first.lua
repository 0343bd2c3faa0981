-- Whether no relay was served for so long that all leases are overdue at once: Redis was unreachable or stalled, or
-- this server is a replica that was just promoted. For two heartbeats owned calls are then left to their owners.
local function owners_first(lease_ms)
  local now = now_ms()
  local served = tonumber(redis.call('HGET', KEYS[2], ':served') or now)
  local quiet_until = tonumber(redis.call('HGET', KEYS[2], ':quiet_until') or 0)
  if math.abs(now - served) > 0.4 * lease_ms then
    quiet_until = now + 0.5 * lease_ms
    redis.call('HSET', KEYS[2], ':quiet_until', as_int(quiet_until))
  end
  if served == now or math.abs(now - served) > 0.05 * lease_ms then
    redis.call('HSET', KEYS[2], ':served', as_int(now))
  end
  return now < quiet_until
end
