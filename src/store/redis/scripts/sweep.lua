-- Returns payloads of leases that ran out to the ends of their lists that are popped.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:crashes
-- ARGV     1 how many at the most (1..100)  2 prefix of all keys
-- Returns  {token, crashes, worker, token, …}, the one that ran out first first

local tokens = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now_text, 'LIMIT', 0, ARGV[1])
if #tokens == 0 then return {} end
local entries = redis.call('HMGET', KEYS[5], unpack(tokens))
for i = 1, 3 do redis.call('LLEN', KEYS[i]) end
redis.call('HLEN', KEYS[6])

redis.call('ZREM', KEYS[4], unpack(tokens))
redis.call('HDEL', KEYS[5], unpack(tokens))
local reply, returned = {}, {}
for i, token in ipairs(tokens) do
  local rank, crashes, worker, payload = unpack_lease(entries[i])
  if rank then
    local at = #reply
    reply[at + 1], reply[at + 2], reply[at + 3] = token, crashes + 1, worker
    returned[#returned + 1] = { tonumber(token), rank, payload, crashes + 1 }
  end
end
-- The one taken first goes back last: it ends in front, where it stood.
table.sort(returned, function(a, b) return a[1] > b[1] end)
for _, lease in ipairs(returned) do to_front(KEYS, KEYS[6], lease[2], lease[4], lease[3]) end
free_claims(ARGV[2], KEYS, KEYS[6], tokens)
return reply
