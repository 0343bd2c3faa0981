-- KEYS owners; ARGV call_id, owner|epoch that stopped, id of the last audio entry, id of the last tone entry
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1] .. ':stopped', table.concat({ARGV[2], ARGV[3], ARGV[4]}, ' '))
return 1
