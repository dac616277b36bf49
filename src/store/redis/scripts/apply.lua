-- Makes changes, each one whole or not at all, independent of each other and in order.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:crashes  7 pf:due
--          8 pf:token  9 pf:event_id  10 pf:expiring  11 pf:indexed  12 pf:events:all
-- ARGV     1 prefix of all keys  2 newest events that a stream keeps  3 ms that a stream lives on
--          then for each change
--            token or ''  keep|finish|requeue  number of expectations, puts, deletes, enqueues, events
--            expectations: kind, id, sha1 of the body or '' for absent
--            puts:         kind, id, body, life in ms or '', score in the main index or '',
--                          number of narrower indexes, then for each its name, score
--            deletes:      kind, id
--            enqueues:     rank, due in ms or '', payload
--            events:       stream, body
-- Returns  for each change one of
--            {1, id of the first event}      made
--            {0, 0}                          refused: the lease is not held
--            {0, n}                          refused: expectation n does not hold
--            {-1, key, error}                nothing written: a key is of the wrong type

local prefix, max_events, retention = ARGV[1], ARGV[2], ARGV[3]
local fitting = {}
local misfit

-- Whether a key is absent or of the type that this reading command wants.
local function fits(command, key)
  if fitting[key] then return true end
  local answer = redis.pcall(command, key)
  if type(answer) == 'table' and answer.err then
    misfit = { -1, key, answer.err }
    return false
  end
  fitting[key] = true
  return true
end

-- Whether every key that the change will write can be written.
local function writable(change)
  if change.token ~= '' and change.ends ~= 'keep' and not fits('HLEN', KEYS[5]) then return false end
  if change.ends == 'requeue' then
    if not (fits('LLEN', KEYS[1]) and fits('LLEN', KEYS[2]) and fits('LLEN', KEYS[3])
      and fits('HLEN', KEYS[6])) then return false end
    if not unpack_lease(redis.call('HGET', KEYS[5], change.token)) then
      misfit = { -1, KEYS[5], 'the payload of lease ' .. change.token .. ' is missing' }
      return false
    end
  end
  if change.puts + change.deletes > 0 and not (fits('ZCARD', KEYS[10]) and fits('HLEN', KEYS[11])) then
    return false
  end
  local a = change.put_at
  for _ = 1, change.puts do
    local kind = ARGV[a]
    if not fits('STRLEN', prefix .. kind .. ':' .. ARGV[a + 1]) then return false end
    if ARGV[a + 4] ~= '' and not fits('ZCARD', prefix .. kind .. 's_index') then return false end
    for i = 1, tonumber(ARGV[a + 5]) do
      if not fits('ZCARD', prefix .. ARGV[a + 4 + 2 * i]) then return false end
    end
    a = a + 6 + 2 * tonumber(ARGV[a + 5])
  end
  for i = 0, change.enqueues - 1 do
    local at = change.enqueue_at + 3 * i
    if ARGV[at + 1] == '' then
      if not fits('LLEN', KEYS[ARGV[at] + 1]) then return false end
    elseif not (fits('ZCARD', KEYS[7]) and fits('STRLEN', KEYS[8])) then
      return false
    end
  end
  if change.events > 0 and not (fits('STRLEN', KEYS[9]) and fits('XLEN', KEYS[12])) then return false end
  for i = 0, change.events - 1 do
    if not fits('XLEN', prefix .. 'pf:events:' .. ARGV[change.event_at + 2 * i]) then return false end
  end
  return true
end

-- Writes the document at ARGV[a] and brings its indexes to what the put says; answers where the next begins.
local function put(a)
  local kind, id, life, score, narrower = ARGV[a], ARGV[a + 1], ARGV[a + 3], ARGV[a + 4], tonumber(ARGV[a + 5])
  local name, index = kind .. ':' .. id, prefix .. kind .. 's_index'
  if life == '' then
    redis.call('SET', prefix .. name, ARGV[a + 2])
    redis.call('ZREM', KEYS[10], name)
  else
    -- Redis ends a life after the millisecond of PXAT; ours ends when it begins.
    local ends = now + tonumber(life)
    redis.call('SET', prefix .. name, ARGV[a + 2], 'PXAT', int(math.max(ends - 1, 1)))
    redis.call('ZADD', KEYS[10], int(ends), name)
  end
  if score == '' then
    redis.pcall('ZREM', index, id)
  else
    redis.call('ZADD', index, score, id)
  end
  local names, stays = {}, {}
  for i = 1, narrower do
    local narrow = ARGV[a + 4 + 2 * i]
    redis.call('ZADD', prefix .. narrow, ARGV[a + 5 + 2 * i], id)
    names[i], stays[narrow] = narrow, true
  end
  local before = redis.call('HGET', KEYS[11], name)
  local after = narrower > 0 and cmsgpack.pack(names)
  if before ~= after then
    for _, old in ipairs(before and cmsgpack.unpack(before) or {}) do
      if not stays[old] then redis.pcall('ZREM', prefix .. old, id) end
    end
    if after then
      redis.call('HSET', KEYS[11], name, after)
    else
      redis.call('HDEL', KEYS[11], name)
    end
  end
  return a + 6 + 2 * narrower
end

local function enqueue(a)
  local rank, due, payload = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  if due == '' then
    redis.call('LPUSH', KEYS[rank + 1], payload)
  else
    -- The number keeps equal payloads apart and payloads of one moment in order.
    local number = fresh(KEYS[8], redis.call('GET', KEYS[8]), 1)
    redis.call('ZADD', KEYS[7], due, string.format('%016.0f', number) .. ' ' .. rank .. ' ' .. payload)
  end
end

-- A stream is only ever written here, with rising ids, so XADD cannot refuse one; should a foreign hand
-- have written a higher id into it, its event is missing there and the change is made (pcall).
local function append(id, stream, body)
  local key = prefix .. 'pf:events:' .. stream
  redis.pcall('XADD', key, 'MAXLEN', '~', max_events, id, 't', int(now), 'b', body)
  redis.call('PEXPIRE', key, retention)
  redis.pcall('XADD', KEYS[12], 'MAXLEN', '~', max_events, id, 't', int(now), 's', stream, 'b', body)
end

local function end_lease(token, ends)
  local rank, crashes, _, payload
  if ends == 'requeue' then
    rank, crashes, _, payload = unpack_lease(redis.call('HGET', KEYS[5], token))
  end
  redis.call('ZREM', KEYS[4], token)
  redis.call('HDEL', KEYS[5], token)
  if rank then
    redis.call('RPUSH', KEYS[rank + 1], payload)
    if crashes > 0 then mark_crashes(KEYS[6], rank, payload, crashes) end
  end
end

-- Where the parts of the change at ARGV[a] begin.
local function parse(a)
  local change = {
    token = ARGV[a], ends = ARGV[a + 1],
    expects = tonumber(ARGV[a + 2]), puts = tonumber(ARGV[a + 3]), deletes = tonumber(ARGV[a + 4]),
    enqueues = tonumber(ARGV[a + 5]), events = tonumber(ARGV[a + 6]),
  }
  change.expect_at = a + 7
  change.put_at = change.expect_at + 3 * change.expects
  a = change.put_at
  for _ = 1, change.puts do a = a + 6 + 2 * tonumber(ARGV[a + 5]) end
  change.delete_at = a
  change.enqueue_at = change.delete_at + 2 * change.deletes
  change.event_at = change.enqueue_at + 3 * change.enqueues
  change.next_at = change.event_at + 2 * change.events
  return change
end

local function make(change)
  if change.token ~= '' then
    if not fits('ZCARD', KEYS[4]) then return misfit end
    if not redis.call('ZSCORE', KEYS[4], change.token) then return { 0, 0 } end
  end
  for i = 1, change.expects do
    local at = change.expect_at + 3 * (i - 1)
    local key = prefix .. ARGV[at] .. ':' .. ARGV[at + 1]
    if not fits('STRLEN', key) then return misfit end
    local body = redis.call('GET', key)
    if (body and redis.sha1hex(body) or '') ~= ARGV[at + 2] then return { 0, i } end
  end
  if not writable(change) then return misfit end

  local a = change.put_at
  for _ = 1, change.puts do a = put(a) end
  for i = 0, change.deletes - 1 do
    local kind, id = ARGV[change.delete_at + 2 * i], ARGV[change.delete_at + 2 * i + 1]
    redis.call('UNLINK', prefix .. kind .. ':' .. id)
    forget(prefix, KEYS[10], KEYS[11], kind, id)
  end
  for i = 0, change.enqueues - 1 do enqueue(change.enqueue_at + 3 * i) end
  local first = 0
  if change.events > 0 then
    first = fresh(KEYS[9], redis.call('GET', KEYS[9]), change.events)
    for i = 0, change.events - 1 do
      local at = change.event_at + 2 * i
      append(int(first + i), ARGV[at], ARGV[at + 1])
    end
  end
  if change.token ~= '' and change.ends ~= 'keep' then end_lease(change.token, change.ends) end
  return { 1, first }
end

local replies, a = {}, 4
while a <= #ARGV do
  local change = parse(a)
  replies[#replies + 1] = make(change)
  a = change.next_at
end
return replies
