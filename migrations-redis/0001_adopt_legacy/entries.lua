-- A piece of an index: which of its entries have no document.
-- KEYS     1 the index
-- ARGV     1 what stands before an id in a document's key  2 cursor
-- Returns  {next cursor, how many were looked at, id, …}; cursor 0: all seen. Nothing if it is no index

local found = redis.pcall('ZSCAN', KEYS[1], ARGV[2], 'COUNT', 50)
if found.err then return {} end
local reply = { found[1], #found[2] / 2 }
for i = 1, #found[2], 2 do
  if redis.call('EXISTS', ARGV[1] .. found[2][i]) == 0 then reply[#reply + 1] = found[2][i] end
end
return reply
