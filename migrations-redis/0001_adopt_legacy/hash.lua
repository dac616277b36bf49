-- Reads a hash that is not large.
-- KEYS     1 the hash
-- ARGV     1 the most fields  2 the longest value
-- Returns  field, value, …; nothing if it is no hash or larger

local fields = redis.pcall('HLEN', KEYS[1])
if type(fields) ~= 'number' or fields == 0 or fields > tonumber(ARGV[1]) then return {} end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if redis.call('HSTRLEN', KEYS[1], field) > tonumber(ARGV[2]) then return {} end
end
return redis.call('HGETALL', KEYS[1])
