-- Takes documents whose life has ended out of all indexes.
-- KEYS     1 pf:expiring  2 pf:indexed
-- ARGV     1 prefix of all keys  2 about how many at the most (1..100)
-- Returns  1 if more are left, else 0
--
-- A member of pf:expiring is a msgpack list of keys that are to be looked at when its score has come. It
-- says no more than "look": a document that was deleted, or written again with another life, is looked
-- at in vain.

-- Takes a document out of everything that is kept beside it. A key that is no index (any more) has
-- nothing to leave, hence pcall.
local function forget(key)
  local kind, id = string.match(string.sub(key, #ARGV[1] + 1), '^([^:]*):(.*)$')
  redis.pcall('ZREM', ARGV[1] .. kind .. 's_index', id)
  local narrower = redis.call('HGET', KEYS[2], key)
  if narrower then
    for _, index in ipairs(cmsgpack.unpack(narrower)) do
      redis.pcall('ZREM', index, id)
    end
    redis.call('HDEL', KEYS[2], key)
  end
end

-- Most lists have many keys: a few of them are enough for one call.
local limit = tonumber(ARGV[2])
local looks = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_text, 'LIMIT', 0, math.min(limit, 20))
redis.call('HLEN', KEYS[2])
local seen = 0
for _, packed in ipairs(looks) do
  if seen >= limit then return 1 end
  redis.call('ZREM', KEYS[1], packed)
  local readable, keys = pcall(cmsgpack.unpack, packed)
  for _, key in ipairs(readable and type(keys) == 'table' and keys or {}) do
    seen = seen + 1
    local left = redis.call('PTTL', key)
    if left == -2 then
      forget(key)
    elseif left >= 0 then
      -- Written again with a longer life, by us (then it is to be looked at twice) or by somebody else.
      redis.call('ZADD', KEYS[1], int(now + left + 1), cmsgpack.pack({ key }))
    end
  end
end
return redis.call('ZCOUNT', KEYS[1], '-inf', now_text) > 0 and 1 or 0
