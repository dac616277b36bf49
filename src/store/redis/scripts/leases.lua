-- The leases held, the next to run out first.
-- KEYS     1 pf:leases  2 pf:inflight
-- ARGV     1 how many at the most (1..100)
-- Returns  {token, expires in ms, entry of pf:inflight, token, …}

local held = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')
if #held == 0 then return {} end
local tokens = {}
for i = 1, #held, 2 do tokens[#tokens + 1] = held[i] end
local entries = redis.call('HMGET', KEYS[2], unpack(tokens))
local reply = {}
for i, token in ipairs(tokens) do
  if entries[i] then
    local at = #reply
    reply[at + 1], reply[at + 2], reply[at + 3] = token, held[2 * i], entries[i]
  end
end
return reply
