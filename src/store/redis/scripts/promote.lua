-- Moves payloads whose time has come to the backs of their lists.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:due
-- ARGV     1 how many at the most (1..100)
-- Returns  {how many moved, due time of the next one or false}

local due = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now_text, 'LIMIT', 0, ARGV[1])
if #due > 0 then
  for i = 1, 3 do redis.call('LLEN', KEYS[i]) end
  redis.call('ZREM', KEYS[4], unpack(due))
  for _, member in ipairs(due) do
    -- '<number> <rank> <payload>', see apply
    local rank, at = string.match(member, '^%d+ ([012]) ()')
    if rank then redis.call('LPUSH', KEYS[rank + 1], string.sub(member, at)) end
  end
end
local next_due = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
return { #due, next_due[2] or false }
