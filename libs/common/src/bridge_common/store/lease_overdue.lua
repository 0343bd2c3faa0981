-- include: now
-- KEYS leases, owners; ARGV call_id, ...   -> call_id, ms since the deadline of its lease, owner|epoch, ...
-- Only calls whose deadline is past, and with -1 those without a lease.
local now = now_ms()
local found = {}
for _, call_id in ipairs(ARGV) do
  local deadline = redis.call('ZSCORE', KEYS[1], call_id)
  if not deadline or tonumber(deadline) < now then
    found[#found + 1] = call_id
    found[#found + 1] = deadline and now - tonumber(deadline) or -1
    found[#found + 1] = redis.call('HGET', KEYS[2], call_id) or ''
  end
end
return found
