-- Takes entries out of an index whose documents are gone, a piece at a time.
-- KEYS     1 the index  2 pf:indexed
-- ARGV     1 what stands before an id in a document's key  2 cursor
-- Returns  {next cursor, how many were looked at, sentence, sentence, …}; cursor 0: all seen
--
-- The janitor does that for every document that was given a life here. What it cannot see is what Redis
-- evicted, and what a foreign program wrote or left half written.

local found = redis.call('ZSCAN', KEYS[1], ARGV[2], 'COUNT', 50)
local entries = found[2]
redis.call('HLEN', KEYS[2])
local reply = { found[1], 0 }
for i = 1, math.min(#entries, 400), 2 do
  local id, score = entries[i], tonumber(entries[i + 1])
  reply[2] = reply[2] + 1
  -- Younger than a minute: its writer may be between two commands.
  if redis.call('EXISTS', ARGV[1] .. id) == 0 and not (score and score > now / 1000 - 60) then
    redis.call('ZREM', KEYS[1], id)
    reply[#reply + 1] = 'an entry of ' .. KEYS[1] .. ' without a document (' .. id .. ') was removed'
  end
end
return reply
