-- Takes what was dumped, all of it or nothing.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:crashes  5 pf:due  6 pf:token  7 pf:event_id
--          8 pf:expiring  9 pf:indexed  10 pf:events:all  11 pf:paused
-- ARGV     1 prefix of all keys  2 newest events that a stream keeps  3 ms that a stream lives on  then at most 100
--          items, each with the number of its texts in front:
--            d key  life in ms or ''  id  main index  body  index  score …
--            p rank  crashes  payload                      to the back of a queue
--            l due time in ms  rank  payload
--            t key  life in ms or ''  field  value …
--            e stream  id  time  1 if it stands among all  body
--            x rank                                        a paused queue
-- Returns  1, or {key, error} with nothing written: a key is of the wrong type

local prefix, max_events, retention = ARGV[1], ARGV[2], tonumber(ARGV[3])
local call = redis.call

local misfit
local function fits(command, key)
  local answer = redis.pcall(command, key)
  if type(answer) == 'table' and answer.err then
    misfit = misfit or { key, answer.err }
  end
end

for i = 1, 3 do fits('LLEN', KEYS[i]) end
for i, command in ipairs({ 'HLEN', 'ZCARD', 'STRLEN', 'STRLEN', 'ZCARD', 'HLEN', 'XLEN', 'HLEN' }) do
  fits(command, KEYS[i + 3])
end

-- Every item, its texts from ARGV[a] to ARGV[z].
local function each(what)
  local at = 4
  while at <= #ARGV do
    local z = at + tonumber(ARGV[at])
    what(ARGV[at + 1], at + 2, z)
    at = z + 1
  end
end

each(function(kind, a, z)
  if kind == 'd' then
    fits('STRLEN', ARGV[a])
    for i = a + 5, z, 2 do fits('ZCARD', ARGV[i]) end
  elseif kind == 't' then
    fits('HLEN', ARGV[a])
  elseif kind == 'e' then
    fits('XLEN', prefix .. 'pf:events:' .. ARGV[a])
  end
end)
if misfit then return misfit end

local function leave(index, id) redis.pcall('ZREM', index, id) end

local function document(a, z)
  local key, life, id, main, body = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local before = call('HGET', KEYS[9], key)
  for _, index in ipairs(before and cmsgpack.unpack(before) or {}) do leave(index, id) end
  leave(main, id)
  if life == '' then
    call('SET', key, body)
  else
    -- Redis ends a life after the millisecond of PXAT; ours ends when it begins.
    call('SET', key, body, 'PXAT', int(now + tonumber(life) - 1))
    call('ZADD', KEYS[8], int(now + tonumber(life)), cmsgpack.pack({ key }))
  end
  local narrower = {}
  for i = a + 5, z, 2 do
    call('ZADD', ARGV[i], ARGV[i + 1], id)
    if ARGV[i] ~= main then narrower[#narrower + 1] = ARGV[i] end
  end
  if #narrower > 0 then
    call('HSET', KEYS[9], key, cmsgpack.pack(narrower))
  elseif before then
    call('HDEL', KEYS[9], key)
  end
end

local function payload(a)
  local rank, crashes, bytes = ARGV[a], tonumber(ARGV[a + 1]), ARGV[a + 2]
  call('LPUSH', KEYS[rank + 1], bytes)
  if crashes > 0 then
    -- The last one of its like: it is popped after all that are marked already.
    local field = crash_field(rank, bytes)
    local above = call('HGET', KEYS[4], field)
    call('HSET', KEYS[4], field, above and (crashes .. ',' .. above) or crashes)
  end
end

local function tally(a, z)
  call('UNLINK', ARGV[a])
  for i = a + 2, z, 2 do call('HSET', ARGV[a], ARGV[i], ARGV[i + 1]) end
  if ARGV[a + 1] ~= '' then call('PEXPIREAT', ARGV[a], int(now + tonumber(ARGV[a + 1]) - 1)) end
end

-- A stream that has something later takes nothing (pcall). Its own stream is not cut here: who compares finds
-- all that came.
local function event(a)
  local stream, id, at, in_all, body = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local key = prefix .. 'pf:events:' .. stream
  redis.pcall('XADD', key, id, 't', at, 'b', body)
  if in_all == '1' then
    redis.pcall('XADD', KEYS[10], 'MAXLEN', '~', max_events, id, 't', at, 's', stream, 'b', body)
  end
  -- What is over already is kept a day longer, so that one can see that it came.
  call('PEXPIREAT', key, int(math.max(tonumber(at) + retention, now + 86400000)))
  if tonumber(id) > tonumber(call('GET', KEYS[7]) or 0) then call('SET', KEYS[7], id) end
end

each(function(kind, a, z)
  if kind == 'd' then
    document(a, z)
  elseif kind == 'p' then
    payload(a)
  elseif kind == 'l' then
    local number = fresh(KEYS[6], call('GET', KEYS[6]), 1)
    call('ZADD', KEYS[5], ARGV[a], string.format('%016d', number) .. ' ' .. ARGV[a + 1] .. ' ' .. ARGV[a + 2])
  elseif kind == 't' then
    tally(a, z)
  elseif kind == 'e' then
    event(a)
  elseif kind == 'x' then
    call('HSET', KEYS[11], ARGV[a], 1)
  end
end)
return 1
