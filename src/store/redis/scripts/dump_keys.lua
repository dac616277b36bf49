-- One piece of a walk through the keys of the database. A script, so that on a cluster it runs where they are.
-- KEYS     1 any key of the database
-- ARGV     1 cursor  2 pattern
-- Returns  {next cursor, key, key, …}; cursor 0: all seen. A key may come more than once.

local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 100)
local reply = { found[1] }
for i = 1, #found[2] do reply[i + 1] = found[2][i] end
return reply
