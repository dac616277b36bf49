-- Moves payloads from the lists into leases.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:token  7 pf:crashes
-- ARGV     1 how many at the most (1..100)  2 lease in ms  3 worker
-- Returns  {token, rank, crashes, payload, token, …}

local waiting, ready = {}, 0
for i = 1, 3 do
  waiting[i] = redis.call('LLEN', KEYS[i])
  ready = ready + waiting[i]
end
local marked = redis.call('HLEN', KEYS[7])
if ready == 0 then
  -- What a foreign consumer took away left its mark behind; with nothing waiting no mark is good.
  if marked > 0 then redis.call('DEL', KEYS[7]) end
  return {}
end
redis.call('ZCARD', KEYS[4])
redis.call('HLEN', KEYS[5])
local last_token = redis.call('GET', KEYS[6])

local left = math.min(tonumber(ARGV[1]), ready)
local ranks, payloads = {}, {}
for i = 1, 3 do
  if left > 0 and waiting[i] > 0 then
    for _, payload in ipairs(redis.call('RPOP', KEYS[i], left)) do
      payloads[#payloads + 1] = payload
      ranks[#payloads] = i - 1
      left = left - 1
    end
  end
end

local token = fresh(KEYS[6], last_token, #payloads)
local expires = int(now + tonumber(ARGV[2]))
local holder = ' ' .. #ARGV[3] .. ' ' .. ARGV[3]
local fresh_entry = { '0 0' .. holder, '1 0' .. holder, '2 0' .. holder }
local leases, inflight, reply = {}, {}, {}
for i, payload in ipairs(payloads) do
  local crashes = marked > 0 and take_crashes(KEYS[7], ranks[i], payload) or 0
  local name = int(token + i - 1)
  leases[2 * i - 1], leases[2 * i] = expires, name
  local entry = crashes == 0 and fresh_entry[ranks[i] + 1] or ranks[i] .. ' ' .. crashes .. holder
  inflight[2 * i - 1], inflight[2 * i] = name, entry .. payload
  local at = 4 * i
  reply[at - 3], reply[at - 2], reply[at - 1], reply[at] = token + i - 1, ranks[i], crashes, payload
end
redis.call('ZADD', KEYS[4], unpack(leases))
redis.call('HSET', KEYS[5], unpack(inflight))
return reply
