-- Add a call behind all others. Its score must be unique: with equal ones, Redis would order the calls by their ids.
local function add(key, call_id, ttl_s)
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  local score = math.max(now_ms(), last[2] and tonumber(last[2]) + 1 or 0)
  redis.call('ZADD', key, as_int(score), call_id)
  redis.call('EXPIRE', key, ttl_s)
end
-- The number of calls before this one, nil if it is not there. Without ZRANK, which the documented ACL does not have.
local function calls_before(key, call_id)
  local score = redis.call('ZSCORE', key, call_id)
  return score and #redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. score)
end
