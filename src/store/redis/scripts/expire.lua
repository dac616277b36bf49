-- Takes documents whose life has ended out of all indexes.
-- KEYS     1 pf:expiring  2 pf:indexed
-- ARGV     1 prefix of all keys  2 how many at the most (1..100)
-- Returns  {how many were looked at, how many of them were gone}

-- Takes a document out of everything that is kept beside it. A key that is no index (any more) has
-- nothing to leave, hence pcall.
local function forget(prefix, expiring, indexed, kind, id)
  local name = kind .. ':' .. id
  redis.pcall('ZREM', prefix .. kind .. 's_index', id)
  local narrower = redis.call('HGET', indexed, name)
  if narrower then
    for _, index in ipairs(cmsgpack.unpack(narrower)) do
      redis.pcall('ZREM', prefix .. index, id)
    end
    redis.call('HDEL', indexed, name)
  end
  redis.call('ZREM', expiring, name)
end

local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_text, 'LIMIT', 0, ARGV[2])
redis.call('HLEN', KEYS[2])
-- Removes nothing; see the house rules.
if #names > 0 then redis.call('ZREM', KEYS[1], '') end
local gone = 0
for _, name in ipairs(names) do
  local left = redis.call('PTTL', ARGV[1] .. name)
  if left == -2 then
    local kind, id = string.match(name, '^([^:]*):(.*)$')
    forget(ARGV[1], KEYS[1], KEYS[2], kind, id)
    gone = gone + 1
  elseif left == -1 then
    -- A foreign program wrote it anew and for ever.
    redis.call('ZREM', KEYS[1], name)
  else
    -- A foreign program gave it a longer life.
    redis.call('ZADD', KEYS[1], int(now + left + 1), name)
  end
end
return { #names, gone }
