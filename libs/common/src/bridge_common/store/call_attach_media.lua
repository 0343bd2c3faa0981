-- include: now
-- KEYS record, downlink; ARGV live status, ...   -> {epoch, last downlink id}, or nil if the call is not live
local status = redis.call('HGET', KEYS[1], 'status')
local live = false
for i = 1, #ARGV do if status == ARGV[i] then live = true end end
if not live then return nil end
local epoch = math.max(tonumber(redis.call('HGET', KEYS[1], 'uplink_epoch') or '0') + 1, now_ms())
redis.call('HSET', KEYS[1], 'uplink_epoch', as_int(epoch))
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {as_int(epoch), last[1] and last[1][1] or '0-0'}
