-- Mends what an eviction or a failover left half done among leases, a piece at a time.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:crashes  7 pf:claimed
-- ARGV     1 prefix of all keys  2 which of the three walks  3 cursor of the walk
-- Returns  {next walk, next cursor, how many were looked at, sentence, sentence, …}; walk 0: all seen

local walk = tonumber(ARGV[2])
local scan = { 'HSCAN', 'ZSCAN', 'HSCAN' }
local walked = { KEYS[5], KEYS[4], KEYS[7] }
local found = redis.call(scan[walk], walked[walk], ARGV[3], 'COUNT', 50)
local entries, looked = found[2], 0
for i = 1, 3 do redis.call('LLEN', KEYS[i]) end
redis.call('HLEN', KEYS[6])

local mended = {}
local function say(sentence)
  mended[#mended + 1] = sentence
end

for i = 1, math.min(#entries, 400), 2 do
  local token = entries[i]
  looked = looked + 1
  if walk == 1 then
    if not redis.call('ZSCORE', KEYS[4], token) then
      redis.call('HDEL', KEYS[5], token)
      local rank, crashes, _, payload = unpack_lease(entries[i + 1])
      if rank then
        to_front(KEYS, KEYS[6], rank, crashes, payload)
        say('a payload in flight without a lease (' .. token .. ') went back to its queue')
      else
        say('an entry in flight that is not of our form (' .. token .. ') was removed')
      end
    end
  elseif walk == 2 then
    if redis.call('HEXISTS', KEYS[5], token) == 0 then
      redis.call('ZREM', KEYS[4], token)
      say('a lease without a payload (' .. token .. ') was ended')
    end
  elseif not redis.call('ZSCORE', KEYS[4], token) then
    free_claims(ARGV[1], KEYS, KEYS[6], { token })
    say('claims of a lease that is gone (' .. token .. ') were freed')
  end
end

local next_walk, next_cursor = walk, found[1]
if next_cursor == '0' then next_walk = walk < 3 and walk + 1 or 0 end
local reply = { next_walk, next_cursor, looked }
for _, sentence in ipairs(mended) do reply[#reply + 1] = sentence end
return reply
