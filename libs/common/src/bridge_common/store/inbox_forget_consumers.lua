-- KEYS inbox; ARGV group, idle_ms, consumer that stays, ...   -> number of removed consumers
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local stays = {}
for i = 3, #ARGV do stays[ARGV[i]] = true end
local gone = 0
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #row, 2 do consumer[row[i]] = row[i + 1] end
  if not stays[consumer.name] and consumer.pending == 0 and consumer.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    gone = gone + 1
  end
end
return gone
