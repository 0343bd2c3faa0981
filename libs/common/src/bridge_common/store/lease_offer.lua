-- include: now
-- KEYS leases, wake, record; ARGV call_id, wake length   -> the call's status or ''
-- An existing lease is not changed.
if redis.call('ZADD', KEYS[1], 'NX', as_int(now_ms()), ARGV[1]) == 1 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
end
return redis.call('HGET', KEYS[3], 'status') or ''
