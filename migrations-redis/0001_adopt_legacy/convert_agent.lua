-- Keeps an agent that was stored as a hash under another name and puts its document in its place.
-- KEYS     1 the agent  2 where the hash is kept  3 the main index of agents
-- ARGV     1 document  2 score  3 id  then the fields and values that the document was made from
-- Returns  1 done, 0 nothing written: the hash has changed, or something is kept there already

local fields = redis.pcall('HLEN', KEYS[1])
if type(fields) ~= 'number' or fields ~= (#ARGV - 3) / 2 then return 0 end
for i = 4, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] then return 0 end
end
if redis.call('EXISTS', KEYS[2]) == 1 or type(redis.pcall('ZCARD', KEYS[3])) ~= 'number' then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[3])
return 1
