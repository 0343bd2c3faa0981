-- include: now
-- KEYS uplink, downlink, say, record, transcript; ARGV final id, ended entry, ttl_s, ttl_s of record, of transcript
for i = 1, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    local last = redis.call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)
    if not (last[1] and last[1][1] == ARGV[1]) then redis.call('XADD', KEYS[i], ARGV[1], 'e', ARGV[2]) end
    redis.call('EXPIRE', KEYS[i], ARGV[3])
  end
end
redis.call('EXPIRE', KEYS[3], ARGV[3])
if redis.call('EXPIRE', KEYS[4], ARGV[4]) == 1 then
  redis.call('HSET', KEYS[4], 'transcript_until', as_int(now_ms() + 1000 * tonumber(ARGV[5])))
end
-- Private entries are only for a relay that takes over a running call.
for _, stored in ipairs(redis.call('XRANGE', KEYS[5], '-', '+')) do
  if stored[2][3] == 'p' then redis.call('XDEL', KEYS[5], stored[1]) end
end
redis.call('EXPIRE', KEYS[5], ARGV[5])
return 1
