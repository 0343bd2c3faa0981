-- include: now
-- include: lease_owners_first
-- KEYS leases, owners; ARGV owner, limit, lease_ms, overdue_ms: how long a lease must be past its deadline
-- -> {ms until the next lease ends or -1, {call_id, epoch, uplink cursor, owner|epoch with the downlink or '', ...}}
local now = now_ms()
local limit = tonumber(ARGV[2])
local quiet = owners_first(tonumber(ARGV[3]))
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', as_int(now - tonumber(ARGV[4])), 'LIMIT', 0, quiet and 1000 or limit)
local claimed = {}
for _, call_id in ipairs(due) do
  local previous = redis.call('HGET', KEYS[2], call_id)
  if #claimed < 4 * limit and not (quiet and previous) then
    local epoch = now
    if previous then epoch = math.max(tonumber(string.match(previous, '|(%d+)$')) + 1, now) end
    redis.call('HSET', KEYS[2], call_id, ARGV[1] .. '|' .. as_int(epoch))
    redis.call('ZADD', KEYS[1], as_int(now + tonumber(ARGV[3])), call_id)
    claimed[#claimed + 1] = call_id
    claimed[#claimed + 1] = as_int(epoch)
    claimed[#claimed + 1] = redis.call('HGET', KEYS[2], call_id .. ':uplink') or '0-0'
    claimed[#claimed + 1] = redis.call('HGET', KEYS[2], call_id .. ':speaker') or ''
  end
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {next[2] and math.max(0, tonumber(next[2]) - now) or -1, claimed}
