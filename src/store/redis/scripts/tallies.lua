-- Tallies as they stand at one moment.
-- KEYS     the tallies (at most 100)
-- Returns  for each {field, value, field, value, …}

local tallies = {}
for i, key in ipairs(KEYS) do tallies[i] = redis.call('HGETALL', key) end
return tallies
