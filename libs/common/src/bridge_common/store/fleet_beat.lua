-- include: now
-- KEYS fleet; ARGV name, the row without its time (a JSON object)
return redis.call('HSET', KEYS[1], ARGV[1], string.sub(ARGV[2], 1, -2) .. ', "beat_ms": ' .. as_int(now_ms()) .. '}')
