-- include: now
-- include: place_add
-- KEYS calls of a rule, ...; ARGV call_id, ttl_s, max_calls of the first rule, '1' if a call may wait there, ...
-- -> {the rule in which the call is now (from 1), or 0, 1 if it waits there for a place}
for i = 1, #KEYS do
  local rank = calls_before(KEYS[i], ARGV[1])
  if rank then
    local waits = rank >= tonumber(ARGV[1 + 2 * i]) and ARGV[2 + 2 * i] == '1'
    return {i, waits and 1 or 0}
  end
end
for i = 1, #KEYS do
  local full = redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[1 + 2 * i])
  if not full or ARGV[2 + 2 * i] == '1' then
    add(KEYS[i], ARGV[1], ARGV[2])
    return {i, full and 1 or 0}
  end
end
return {0, 0}
