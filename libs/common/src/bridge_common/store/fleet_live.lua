-- include: now
-- KEYS fleet   -> {now, {name, row, ...}}
return {now_ms(), redis.call('HGETALL', KEYS[1])}
