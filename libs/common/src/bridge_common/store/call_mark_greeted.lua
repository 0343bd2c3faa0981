-- KEYS record; ARGV token   -> 1 for the first token
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[1], 'greeted') == '1' then
  return redis.call('HGET', KEYS[1], 'greeted_by') == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[1], 'greeted', '1', 'greeted_by', ARGV[1])
return 1
