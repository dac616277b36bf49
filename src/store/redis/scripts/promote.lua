-- Moves payloads whose time has come to the backs of their lists, and parked ones whose claim can be had
-- to the fronts of theirs.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:due  5 pf:crashes  6 pf:parked
-- ARGV     1 how many at the most (1..100)  2 prefix of all keys
-- Returns  {how many came due, due time of the next one or false, now, how many were parked}

local due = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now_text, 'LIMIT', 0, ARGV[1])
local left = tonumber(ARGV[1])
if #due > 0 then
  for i = 1, 3 do redis.call('LLEN', KEYS[i]) end
  redis.call('ZREM', KEYS[4], unpack(due))
  for _, member in ipairs(due) do
    -- '<number> <rank> <payload>', see apply
    local rank, at = string.match(member, '^%d+ ([012]) ()')
    if rank then redis.call('LPUSH', KEYS[rank + 1], string.sub(member, at)) end
  end
end

-- Who freed a claim has moved one on already; this finds the rest: one that was moved and then had no use
-- for the claim, a limit that was raised.
local unparked = 0
if redis.call('HLEN', KEYS[6]) > 0 then
  local names = redis.call('HRANDFIELD', KEYS[6], 50, 'WITHVALUES')
  for i = 1, #names, 2 do
    local name = names[i]
    local room = tonumber(names[i + 1]) - redis.call('SCARD', ARGV[2] .. 'pf:claims:' .. name)
    room = math.min(room, left - unparked)
    if room > 0 then unparked = unparked + unpark(ARGV[2], KEYS, KEYS[5], name, room) end
  end
end
local next_due = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
return { #due, next_due[2] or false, now_text, unparked }
