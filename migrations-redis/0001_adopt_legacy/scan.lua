-- One piece of a walk through all keys. A script, so that on a cluster it runs where the keys are.
-- KEYS     1 any key of the database
-- ARGV     1 cursor  2 pattern  3 about how many at the most (1..100)
-- Returns  {next cursor, key, key, …}; cursor 0: all seen. A key may come more than once.

local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local reply = { found[1] }
for i = 1, #found[2] do reply[i + 1] = found[2][i] end
return reply
