-- Whole tallies with what is left of their lives.
-- KEYS     the tallies
-- Returns  for each {ms that it lives on (-1 for ever), field, value, …}; {-2} for what is no tally (any more)

local reply = {}
for i, key in ipairs(KEYS) do
  local fields = redis.pcall('HGETALL', key)
  local tally = { (fields.err or #fields == 0) and -2 or redis.call('PTTL', key) }
  if not fields.err then
    for j = 1, #fields do tally[j + 1] = fields[j] end
  end
  reply[i] = tally
end
return reply
