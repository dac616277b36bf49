-- Documents with what is left of their lives and where they stand.
-- KEYS     1 pf:indexed  2… documents
-- ARGV     1 how many bytes of bodies are enough  2 the longest body  then of each document its main index, its id
-- Returns  for each document, until it is enough: {type, length, ms that it lives on (-1 for ever), body or false,
--          index, score, …}

local enough, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local given = 0
local reply = {}
for i = 2, #KEYS do
  if given >= enough then break end
  local key, main, id = KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]
  local kind = redis.call('TYPE', key).ok
  local length = kind == 'string' and redis.call('STRLEN', key) or 0
  local body = kind == 'string' and length <= longest and redis.call('GET', key)
  local document = { kind, length, redis.call('PTTL', key), body }
  if body then
    given = given + length
    local indexes = { main }
    local noted = redis.pcall('HGET', KEYS[1], key)
    if type(noted) == 'string' then
      for _, index in ipairs(cmsgpack.unpack(noted)) do indexes[#indexes + 1] = index end
    end
    for _, index in ipairs(indexes) do
      local score = redis.pcall('ZSCORE', index, id)
      if type(score) == 'string' then
        document[#document + 1] = index
        document[#document + 1] = score
      end
    end
  end
  reply[#reply + 1] = document
end
return reply
