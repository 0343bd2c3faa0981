-- include: now
-- include: lease_owners_first
-- KEYS leases, owners; ARGV lease_ms, owner, call_id, epoch, uplink cursor or '', ...
-- -> the call_ids whose lease is lost
owners_first(tonumber(ARGV[1]))
local deadline = as_int(now_ms() + tonumber(ARGV[1]))
local lost = {}
for i = 3, #ARGV, 3 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[2] .. '|' .. ARGV[i + 1] then
    redis.call('ZADD', KEYS[1], 'XX', deadline, ARGV[i])
    if ARGV[i + 2] ~= '' then redis.call('HSET', KEYS[2], ARGV[i] .. ':uplink', ARGV[i + 2]) end
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
