-- Moves the first payloads that come into leases of a worker that waits and has left a note of how many it
-- wants. A connection that waits for a list sends this behind its waiting; it is as short as it can be, since
-- nothing else stands between a job's arrival and its start. What is out of the ordinary (a paused queue,
-- payloads that crashed, a key of the wrong type) it leaves alone: the worker is woken, and asks by itself.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:token  7 pf:crashes
--          8 pf:paused  9 pf:wanted:{worker}
-- ARGV     1 lease in ms  2 ' <length of worker> <worker>'  3 ranks in the order to take from
-- Returns  as reserve.lua, or nothing

local call, pcall, byte = redis.call, redis.pcall, string.byte
local wanted = pcall('GET', KEYS[9])
wanted = type(wanted) == 'string' and tonumber(wanted) or 0
if wanted < 1 or call('EXISTS', KEYS[7], KEYS[8]) > 0 then return {} end

-- Few: what else there is the worker takes next, when it has begun with these.
local payloads, rank, list
for i = 1, 3 do
  rank = byte(ARGV[3], i) - 48
  list = KEYS[rank + 1]
  payloads = pcall('RPOP', list, wanted < 8 and wanted or 8)
  if payloads and not payloads.err then break end
  payloads = nil
end
if not payloads then return {} end

local n = #payloads
local time = call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)
local format = string.format

local function put_back()
  for i = n, 1, -1 do call('RPUSH', list, payloads[i]) end
  return {}
end

-- As fresh() in prelude.lua does it.
local token = now_us
local before = pcall('SET', KEYS[6], format('%d', token + n - 1), 'GET')
if type(before) == 'table' then return put_back() end
before = tonumber(before or 0) or 0
if before >= token then
  token = before + 1
  call('SET', KEYS[6], format('%d', token + n - 1))
end

local expires, entry = format('%d', now + ARGV[1]), rank .. ' 0' .. ARGV[2]
local leases, inflight, names = {}, {}, {}
local reply = { '', format('%d', token), string.rep(rank, n), '', format('%d', now) }
for i = 1, n do
  local name = format('%d', token + i - 1)
  names[i] = name
  leases[2 * i - 1], leases[2 * i] = expires, name
  inflight[2 * i - 1], inflight[2 * i] = name, entry .. payloads[i]
  reply[i + 5] = payloads[i]
end
if type(pcall('ZADD', KEYS[4], unpack(leases))) == 'table' then return put_back() end
if type(pcall('HSET', KEYS[5], unpack(inflight))) == 'table' then
  call('ZREM', KEYS[4], unpack(names))
  return put_back()
end
-- The note is spent, and says so until its owner comes for it.
call('SET', KEYS[9], '0', 'PX', '60000')
return reply
