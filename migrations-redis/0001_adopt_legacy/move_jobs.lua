-- Moves payloads from a list that nobody takes from to the back of one that is consumed. What is in the
-- list besides stays where it is.
-- KEYS     1 from  2 to
-- ARGV     at most 100 payloads, the one to be taken first in front
-- Returns  how many were still there and were moved

for _, key in ipairs(KEYS) do
  if type(redis.pcall('LLEN', key)) ~= 'number' then return 0 end
end
local moved = 0
for _, payload in ipairs(ARGV) do
  if redis.call('LREM', KEYS[1], -1, payload) == 1 then
    redis.call('LPUSH', KEYS[2], payload)
    moved = moved + 1
  end
end
return moved
