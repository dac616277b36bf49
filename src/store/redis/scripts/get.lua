-- Documents as they stand at one moment. GET, not MGET, which calls a key of another type absent.
-- KEYS     the documents (at most 100)
-- Returns  each body or false

local bodies = {}
for i, key in ipairs(KEYS) do bodies[i] = redis.call('GET', key) end
return bodies
