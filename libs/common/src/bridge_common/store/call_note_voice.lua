-- KEYS record, owners, inbox; ARGV call_id, owner|epoch, entry for the inbox or '', inbox length, field, value, ...
-- -> 1 written, 0 another owner has the lease
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
if ARGV[3] ~= '' then redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3]) end
return 1
