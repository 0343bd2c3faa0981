-- KEYS record, owners, say; ARGV call_id, owner|epoch, said, dropped say ids, oldest piece to keep or ''
-- -> 1 stored, 0 another owner has the lease
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'said', ARGV[3], 'dropped_says', ARGV[4])
if ARGV[5] ~= '' then redis.call('XTRIM', KEYS[3], 'MINID', ARGV[5]) end
return 1
