-- Mends what an eviction or a failover left half done among claims and parked payloads, a piece at a time.
-- KEYS     1 pf:leases  2 pf:parked  3 pf:parked_count
-- ARGV     1 prefix of all keys  2 cursor of the walk through all keys
-- Returns  {next cursor, how many were looked at, sentence, sentence, …}; cursor 0: all seen

local own = ARGV[1] .. 'pf:'
local pattern = string.gsub(own, '[%[%]%*%?%\\]', '\\%0') .. '*'
local found = redis.call('SCAN', ARGV[2], 'MATCH', pattern, 'COUNT', 500)
local reply = { found[1], 0 }

local function say(sentence)
  reply[#reply + 1] = sentence
end

-- What follows this in the key, if it begins so.
local function after(key, start)
  if string.sub(key, 1, #own + #start) == own .. start then return string.sub(key, #own + #start + 1) end
end

for i = 1, math.min(#found[2], 1000) do
  local key = found[2][i]
  local claimed, parked = after(key, 'claims:'), after(key, 'parked:')
  if claimed or parked then reply[2] = reply[2] + 1 end
  if claimed then
    local tokens = redis.pcall('SRANDMEMBER', key, 1000)
    local held = #tokens > 0 and redis.call('ZMSCORE', KEYS[1], unpack(tokens)) or {}
    for j, token in ipairs(tokens) do
      if not held[j] then
        redis.call('SREM', key, token)
        say('a claim on ' .. claimed .. ' of a lease that is gone (' .. token .. ') was freed')
      end
    end
  elseif parked and redis.call('HEXISTS', KEYS[2], parked) == 0 then
    -- Which limit it had is not known any more; the next claim says it.
    redis.call('HSET', KEYS[2], parked, 1)
    say('what is parked for ' .. parked .. ' is known again')
  end
end

if found[1] == '0' and redis.call('HLEN', KEYS[2]) <= 1000 then
  local total = 0
  for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do
    local length = redis.pcall('LLEN', own .. 'parked:' .. name)
    if length == 0 then redis.call('HDEL', KEYS[2], name) end
    total = total + (type(length) == 'number' and length or 0)
  end
  if tonumber(redis.call('GET', KEYS[3]) or 0) ~= total then
    redis.call('SET', KEYS[3], int(total))
    say('the number of parked payloads is ' .. int(total) .. ' again')
  end
end
return reply
