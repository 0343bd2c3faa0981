-- include: now
-- KEYS transcript, record, erased; ARGV entry, length, ttl_s, '1' for an entry that is not shown to users
-- Equal bytes are a retry of the same entry. After the call has ended, the transcript expires at `transcript_until`.
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
local left_ms = tonumber(ARGV[3]) * 1000
local keep_until = redis.call('HGET', KEYS[2], 'transcript_until')
if keep_until then left_ms = tonumber(keep_until) - now_ms() end
if left_ms <= 0 or (keep_until and ARGV[4] == '1') then return 0 end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 8)
for _, stored in ipairs(last) do if stored[2][2] == ARGV[1] then return 0 end end
if ARGV[4] == '1' then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1], 'p', '1')
else
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'e', ARGV[1])
end
if redis.call('TTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], as_int(left_ms)) end
return 1
