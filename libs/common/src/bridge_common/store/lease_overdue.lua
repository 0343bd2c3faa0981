-- include: now
-- KEYS leases, owners; ARGV call_id, ...   -> call_id, ms since the deadline of its lease, owner|epoch, ...
-- Only calls whose deadline is past.
local now = now_ms()
local found = {}
for _, call_id in ipairs(ARGV) do
  local deadline = redis.call('ZSCORE', KEYS[1], call_id)
  if deadline and tonumber(deadline) < now then
    found[#found + 1] = call_id
    found[#found + 1] = now - tonumber(deadline)
    found[#found + 1] = redis.call('HGET', KEYS[2], call_id) or ''
  end
end
return found
