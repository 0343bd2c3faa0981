-- KEYS inbox, owners; ARGV call_id, owner|epoch, entry, inbox length   -> 1 put, 0 another owner has the lease
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3])
return 1
