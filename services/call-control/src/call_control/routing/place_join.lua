-- include: now
-- include: place_add
-- KEYS calls of a rule; ARGV call_id, ttl_s   -> the number of calls before this one
if not calls_before(KEYS[1], ARGV[1]) then add(KEYS[1], ARGV[1], ARGV[2]) end
return calls_before(KEYS[1], ARGV[1])
