-- Moves the ends of leases.
-- KEYS     1 pf:leases
-- ARGV     1 lease in ms from now  2.. tokens (at most 100)
-- Returns  for each token 1 if it is held, else 0

local held, moved = {}, {}
local expires = int(now + tonumber(ARGV[1]))
for i = 2, #ARGV do
  local is_held = redis.call('ZSCORE', KEYS[1], ARGV[i])
  held[i - 1] = is_held and 1 or 0
  if is_held then
    moved[#moved + 1] = expires
    moved[#moved + 1] = ARGV[i]
  end
end
if #moved > 0 then
  -- Removes nothing; see the house rules: a full memory must not end leases of work that goes on.
  redis.call('ZREM', KEYS[1], '')
  redis.call('ZADD', KEYS[1], unpack(moved))
end
return held
