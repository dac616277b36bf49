-- Moves payloads from the lists into leases.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:token  7 pf:crashes
--          8 pf:paused  9 pf:wanted:{worker}
-- ARGV     1 how many at the most (0..100)  2 lease in ms  3 worker  4 ranks in the order to take from
--          5 what is done with the worker's note in KEYS[9], which says how many it waits for:
--              ''      nothing
--              'wait'  if nothing is taken it is left, for 6 ms
--              'end'   it is removed; if something was taken by it (pickup.lua), nothing is taken now
--          6 how long it lives, in ms
-- Returns  {ranks of paused queues, first token, ranks, crash counts, ms now, payload, payload, …}
--          tokens follow each other; ranks and crash counts are one text each, of a digit and of a
--          number and a comma for each payload; the crash counts are '' if all are 0; the first token is
--          -1 if 'end' came after something was taken by the note

--
-- Every call into Redis costs more than what it does there. So it is not asked first whether the keys are of
-- their types: what was popped is put back if a later write cannot be made, and nothing has happened then.

local note, limit = ARGV[5], tonumber(ARGV[1])
local marks, paused = KEYS[7], ''
local marked = 0
if redis.call('EXISTS', marks, KEYS[8]) > 0 then
  paused = table.concat(redis.call('HKEYS', KEYS[8]))
  marked = redis.call('HLEN', marks)
end
if note == 'end' then
  local wanted = redis.pcall('GET', KEYS[9])
  redis.call('UNLINK', KEYS[9])
  if wanted == '0' then return { paused, -1, '', '', now_text } end
end

-- Few at a time, so that no reply is much larger than this: payloads of a megabyte are allowed.
local PORTION, ENOUGH_BYTES = 8, 4 * 1024 * 1024

local left, bytes = limit, 0
local ranks, payloads = {}, {}
local problem
for i = 1, 3 do
  local rank = string.byte(ARGV[4], i) - 48
  if paused == '' or not string.find(paused, rank, 1, true) then
    while left > 0 and bytes < ENOUGH_BYTES do
      local popped = redis.pcall('RPOP', KEYS[rank + 1], math.min(left, PORTION))
      if not popped then break end
      if popped.err then
        problem = popped
        break
      end
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
ranks = table.concat(ranks)

if #payloads == 0 then
  -- The other lists go on while one key is of the wrong type, and it is told when they are empty.
  if problem then return problem end
  -- What a foreign consumer took away left its mark behind; with nothing waiting no mark is good.
  if marked > 0 and redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) == 0 then redis.call('DEL', marks) end
  -- Whoever has no room for a note (memory is full) is woken all the same, and then asks.
  if note == 'wait' then redis.pcall('SET', KEYS[9], int(limit), 'PX', ARGV[6]) end
  return { paused, 0, '', '', now_text }
end

-- Answers with why nothing can be leased, and everything is back where it was.
local function put_back(why)
  for i = #payloads, 1, -1 do
    redis.call('RPUSH', KEYS[string.byte(ranks, i) - 47], payloads[i])
  end
  return why
end

-- As fresh() does it, in one call: what was there before is seldom above the clock.
local n = #payloads
local token = now_us
local before = redis.pcall('SET', KEYS[6], int(token + n - 1), 'GET')
if type(before) == 'table' then return put_back(before) end
before = tonumber(before or 0) or 0
if before >= token then
  token = before + 1
  redis.call('SET', KEYS[6], int(token + n - 1))
end
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

local leases, names = {}, {}
for i = 1, n do
  local name = name_of(token + i - 1)
  names[i] = name
  leases[2 * i - 1], leases[2 * i] = expires, name
end
local added = redis.pcall('ZADD', KEYS[4], unpack(leases))
if type(added) == 'table' then return put_back(added) end

local crashed, inflight, reply = {}, {}, { paused, int(token), ranks, '', now_text }
for i = 1, n do
  local payload = payloads[i]
  local rank = string.byte(ranks, i) - 48
  local entry = fresh_entry[rank + 1]
  if marked > 0 then
    crashed[i] = take_crashes(marks, rank, payload)
    if crashed[i] > 0 then entry = rank .. ' ' .. crashed[i] .. holder end
  end
  inflight[2 * i - 1], inflight[2 * i] = names[i], entry .. payload
  reply[i + 5] = payload
end
if marked > 0 then reply[4] = table.concat(crashed, ',') .. ',' end
local held = redis.pcall('HSET', KEYS[5], unpack(inflight))
if type(held) == 'table' then
  redis.call('ZREM', KEYS[4], unpack(names))
  for i = n, 1, -1 do
    if (crashed[i] or 0) > 0 then mark_crashes(marks, string.byte(ranks, i) - 48, payloads[i], crashed[i]) end
  end
  return put_back(held)
end
return reply
