-- Moves payloads from the lists into leases.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:token  7 pf:crashes
--          8 pf:paused
-- ARGV     1 how many at the most (1..100)  2 lease in ms  3 worker  4 ranks in the order to take from
-- Returns  {ranks of paused queues, first token, ranks, crash counts, payload, payload, …}
--          tokens follow each other; ranks and crash counts are one text each, of a digit and of a
--          number and a comma for each payload; the crash counts are '' if all are 0

local paused = table.concat(redis.call('HKEYS', KEYS[8]))
local order, waiting, ready = {}, {}, 0
for i = 1, 3 do
  local rank = string.byte(ARGV[4], i) - 48
  order[i] = rank
  waiting[i] = redis.call('LLEN', KEYS[rank + 1])
  ready = ready + waiting[i]
end
local marked = redis.call('HLEN', KEYS[7])
if ready == 0 then
  -- What a foreign consumer took away left its mark behind; with nothing waiting no mark is good.
  if marked > 0 then redis.call('DEL', KEYS[7]) end
  return { paused, 0, '', '' }
end
redis.call('ZCARD', KEYS[4])
redis.call('HLEN', KEYS[5])
local last_token = redis.call('GET', KEYS[6])

-- Few at a time, so that no reply is much larger than this: payloads of a megabyte are allowed.
local PORTION, ENOUGH_BYTES = 8, 4 * 1024 * 1024

local left, bytes = tonumber(ARGV[1]), 0
local ranks, payloads = {}, {}
for i = 1, 3 do
  local rank = order[i]
  if waiting[i] > 0 and not string.find(paused, rank, 1, true) then
    while left > 0 and bytes < ENOUGH_BYTES do
      local popped = redis.call('RPOP', KEYS[rank + 1], math.min(left, PORTION))
      if not popped then break end
      for j = 1, #popped do
        payloads[#payloads + 1] = popped[j]
        bytes = bytes + #popped[j]
      end
      ranks[#ranks + 1] = string.rep(rank, #popped)
      left = left - #popped
      if #popped < PORTION then break end
    end
  end
end
if #payloads == 0 then return { paused, 0, '', '' } end
ranks = table.concat(ranks)

local token = fresh(KEYS[6], last_token, #payloads)
local expires = int(now + tonumber(ARGV[2]))
local holder = ' ' .. #ARGV[3] .. ' ' .. ARGV[3]
local fresh_entry = { '0 0' .. holder, '1 0' .. holder, '2 0' .. holder }

-- Tokens follow each other: the last three digits are written by hand, which is four times as quick as
-- printing the whole number.
local thousands, head
local function name_of(number)
  local rest = number % 1000
  local above = (number - rest) / 1000
  if above ~= thousands then
    thousands, head = above, int(above)
  end
  local tens = rest % 100
  local ones = tens % 10
  return head .. string.char(48 + (rest - tens) / 100, 48 + (tens - ones) / 10, 48 + ones)
end

local crashed = {}
local leases, inflight, reply = {}, {}, { paused, int(token), ranks, '' }
for i = 1, #payloads do
  local payload = payloads[i]
  local rank = string.byte(ranks, i) - 48
  local name = name_of(token + i - 1)
  local entry = fresh_entry[rank + 1]
  if marked > 0 then
    local crashes = take_crashes(KEYS[7], rank, payload)
    crashed[i] = crashes
    if crashes > 0 then entry = rank .. ' ' .. crashes .. holder end
  end
  local at = 2 * i
  leases[at - 1], leases[at] = expires, name
  inflight[at - 1], inflight[at] = name, entry .. payload
  reply[i + 4] = payload
end
if marked > 0 then reply[4] = table.concat(crashed, ',') .. ',' end
redis.call('ZADD', KEYS[4], unpack(leases))
redis.call('HSET', KEYS[5], unpack(inflight))
return reply
