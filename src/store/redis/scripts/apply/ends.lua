-- ---- queues, events, leases --------------------------------------------------------------------

local next_number
local function enqueue(rank, payload)
  local list = pushes[rank + 1]
  list[#list + 1] = payload
end

-- The number keeps equal payloads apart and payloads of one moment in order.
local function enqueue_due(rank, due_at, payload)
  next_number = next_number or fresh(KEYS[8], call('GET', KEYS[8]), all_enqueues)
  due[#due + 1] = due_at
  due[#due + 1] = string.format('%016d', next_number) .. ' ' .. rank .. ' ' .. payload
  next_number = next_number + 1
end

-- A stream is only ever written here, with rising ids, so XADD cannot refuse one; should a foreign hand
-- have written a higher id into it, its event is missing there and the change is made (pcall).
local next_event
local function append(stream, body)
  next_event = next_event or fresh(KEYS[9], call('GET', KEYS[9]), all_events)
  local key, id = prefix .. 'pf:events:' .. stream, int(next_event)
  redis.pcall('XADD', key, 'MAXLEN', '~', max_events, id, 't', now_text, 'b', body)
  redis.pcall('XADD', KEYS[12], 'MAXLEN', '~', max_events, id, 't', now_text, 's', stream, 'b', body)
  streams[key] = true
  next_event = next_event + 1
end

-- Whether any lease holds a claim; asked when the first one ends.
local any_claimed
local function free(token)
  if any_claimed == nil then any_claimed = call('EXISTS', prefix .. 'pf:claimed') == 1 end
  if any_claimed then free_claims(prefix, KEYS, KEYS[6], { token }) end
end

-- What is parked waits for the limit that was said last.
local function say_limit(name, limit)
  if redis.pcall('HEXISTS', prefix .. 'pf:parked', name) == 1 then
    call('HSET', prefix .. 'pf:parked', name, limit)
  end
end

local function park(rank, crashes, payload, name, limit)
  local holders = redis.pcall('SCARD', prefix .. 'pf:claims:' .. name)
  if type(holders) ~= 'number' or holders < tonumber(limit) then
    to_front(KEYS, KEYS[6], rank, crashes, payload)
    say_limit(name, limit)
  else
    call('RPUSH', prefix .. 'pf:parked:' .. name, rank .. ' ' .. crashes .. ' ' .. payload)
    redis.pcall('HSET', prefix .. 'pf:parked', name, limit)
    redis.pcall('INCR', prefix .. 'pf:parked_count')
  end
end

local function end_lease(token, ends, name, limit)
  ended[#ended + 1] = token
  if ends == 1 then return free(token) end
  local rank, crashes, _, payload = unpack_lease(call('HGET', KEYS[5], token))
  -- At once, so that it may be the first write; see the house rules.
  call('ZREM', KEYS[4], token)
  free(token)
  if ends == 3 then
    park(rank, crashes, payload, name, limit)
  else
    to_front(KEYS, KEYS[6], rank, crashes, payload)
  end
end

-- The first claim of those from ARGV[a] on that cannot be had; nothing if all can, -1 if nobody can say.
local function first_refused(token, a, claims)
  local seen = {}
  for i = 1, claims do
    local name = ARGV[a]
    if not seen[name] then
      seen[name] = true
      local holders = prefix .. 'pf:claims:' .. name
      if not fits('SCARD', holders) then return -1 end
      if call('SCARD', holders) >= tonumber(ARGV[a + 1]) and call('SISMEMBER', holders, token) == 0 then
        return i
      end
    end
    a = a + 2
  end
end

local function claim(token, a, claims)
  local claimed = prefix .. 'pf:claimed'
  local before = redis.pcall('HGET', claimed, token)
  local names = type(before) == 'string' and cmsgpack.unpack(before) or {}
  for _ = 1, claims do
    local name = ARGV[a]
    if call('SADD', prefix .. 'pf:claims:' .. name, token) == 1 then names[#names + 1] = name end
    say_limit(name, ARGV[a + 1])
    a = a + 2
  end
  redis.pcall('HSET', claimed, token, cmsgpack.pack(names))
  any_claimed = true
end
