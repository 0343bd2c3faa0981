-- include: now
-- KEYS bucket, reported, bucket, reported, ...; ARGV call_id, window_ms, most calls in the first bucket, ...
-- -> {0, 0} counted, {the bucket that is full (from 1), 1 unless that was reported in the window}
-- A member of a bucket is a call, its score the time when it no longer counts. A call that is turned away is not added.
local now = now_ms()
for i = 1, #KEYS, 2 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', as_int(now))
  if redis.call('ZSCORE', KEYS[i], ARGV[1]) then return {0, 0} end
end
for i = 1, #KEYS, 2 do
  local bucket = (i + 1) / 2
  if redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[2 + bucket]) then
    local first = redis.call('SET', KEYS[i + 1], '1', 'PX', ARGV[2], 'NX')
    return {bucket, first and 1 or 0}
  end
end
for i = 1, #KEYS, 2 do
  redis.call('ZADD', KEYS[i], as_int(now + tonumber(ARGV[2])), ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return {0, 0}
