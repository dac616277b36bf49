-- What is stored under keys, and whether it stands in its indexes.
-- KEYS     1 pf:indexed  2… at most 100 documents
-- ARGV     1 the longest body  2 after how many bytes of bodies no more are given
--          then for each document: its main index, its id
-- Returns  for each document: type, ms that it lives on (negative: for ever), length,
--          score in the main index or false, 1 if narrower indexes are noted, body or false

local longest, enough = tonumber(ARGV[1]), tonumber(ARGV[2])
local given = 0
local reply = {}
for i = 2, #KEYS do
  local key, main, id = KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]
  local kind = redis.call('TYPE', key).ok
  local length = kind == 'string' and redis.call('STRLEN', key) or 0
  local score = redis.pcall('ZSCORE', main, id)
  local noted = redis.pcall('HEXISTS', KEYS[1], key)
  local body = false
  if kind == 'string' and length <= longest and given < enough then
    body = redis.call('GET', key)
    given = given + length
  end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = kind, redis.call('PTTL', key), length
  reply[n + 4] = type(score) == 'string' and score
  reply[n + 5] = noted == 1 and 1 or 0
  reply[n + 6] = body
end
return reply
