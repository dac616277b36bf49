-- Stands before every script that writes: the clock, fresh numbers, crash marks, claims.
--
-- House rules of all scripts
-- * Everything that can fail is looked at before the first write. After it nothing can: Redis does not
--   undo what a failed script wrote.
-- * TIME is the only clock.
-- * Payloads and bodies are bytes that are never parsed.
-- * No loop and no unpack goes beyond a few hundred items (unpack fails near 8,000), whatever waits.
-- * Redis refuses the first write of a script when memory is full, and no later one. A script that
--   only moves things therefore begins with a removal: work must get on when memory is full.

local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

-- A whole number as text. Lua's own form of a large one is 1.7e+15, and every conversion of a number in
-- passing (.., an argument) goes by way of a float's digits, which costs as much as a small command.
local function int(number)
  return string.format('%d', number)
end
local now_text = int(now)

-- n fresh numbers of a counter; answers the first. They are never below the clock in microseconds, so
-- that a counter which was lost or set back (a flush, a failover to a replica that lagged) gives no
-- number out twice: a token of before can never open a lease of after.
local function fresh(counter, last, n)
  local first = (tonumber(last) or 0) + 1
  if first < now_us then first = now_us end
  redis.call('SET', counter, int(first + n - 1))
  return first
end

-- Takes a lease's entry in pf:inflight apart: '<rank> <crashes> <length of worker> <worker><payload>'.
-- Answers rank, crashes, worker, payload; nothing for an entry that is missing or not ours.
local function unpack_lease(packed)
  if not packed then return end
  local rank, crashes, length, at = string.match(packed, '^([012]) (%d+) (%d+) ()')
  if not rank then return end
  at = at + tonumber(length)
  return tonumber(rank), tonumber(crashes), string.sub(packed, at - tonumber(length), at - 1),
    string.sub(packed, at)
end

-- Crash marks: what crashed and waits in a list again stays the raw payload there, its crash count
-- stands in a hash under queue and payload. A returned payload is always at the end that is popped, so
-- equal payloads of one queue make a stack: '1,2' means that the next one popped crashed twice.
local function crash_field(rank, payload)
  return rank .. redis.sha1hex(payload)
end

local function mark_crashes(marks, rank, payload, crashes)
  local field = crash_field(rank, payload)
  local below = redis.call('HGET', marks, field)
  redis.call('HSET', marks, field, below and (below .. ',' .. crashes) or crashes)
end

local function take_crashes(marks, rank, payload)
  local field = crash_field(rank, payload)
  local stack = redis.call('HGET', marks, field)
  if not stack then return 0 end
  local below, top = string.match(stack, '^(.*),(%d+)$')
  if below then
    redis.call('HSET', marks, field, below)
  else
    redis.call('HDEL', marks, field)
  end
  return tonumber(top or stack) or 0
end


-- Claims: pf:claims:{name} is the set of tokens that hold a name, pf:claimed says it the other way round
-- (token -> msgpack list of names). What waits for a name is parked in the list pf:parked:{name} as
-- '<rank> <crashes> <payload>'; pf:parked knows the names that something is parked for and their limits,
-- pf:parked_count how much it is in all. lists are the keys of the three queues.

-- Puts a payload to the end of its list that is popped.
local function to_front(lists, marks, rank, crashes, payload)
  redis.call('RPUSH', lists[rank + 1], payload)
  if crashes > 0 and type(redis.pcall('HLEN', marks)) == 'number' then mark_crashes(marks, rank, payload, crashes) end
end

-- Returns at most n payloads that are parked for a name to the fronts of their queues; answers how many.
-- Whatever foreign hand has been at one of the keys: nothing fails here, and no payload leaves its place
-- without having another (hence LLEN and pcall).
local function unpark(prefix, lists, marks, name, n)
  for rank = 1, 3 do
    if type(redis.pcall('LLEN', lists[rank])) ~= 'number' then return 0 end
  end
  local parked = prefix .. 'pf:parked:' .. name
  local entries = redis.pcall('LPOP', parked, int(n))
  if type(entries) ~= 'table' or entries.err then entries = {} end
  -- The one that was parked first goes back last: it ends in front.
  for i = #entries, 1, -1 do
    local rank, crashes, at = string.match(entries[i], '^([012]) (%d+) ()')
    if rank then to_front(lists, marks, tonumber(rank), tonumber(crashes), string.sub(entries[i], at)) end
  end
  local moved = #entries
  if moved > 0 then redis.pcall('DECRBY', prefix .. 'pf:parked_count', int(moved)) end
  if redis.call('EXISTS', parked) == 0 then redis.pcall('HDEL', prefix .. 'pf:parked', name) end
  return moved
end

-- Frees what leases that end here have claimed; for each claim one that waits for it goes on.
local function free_claims(prefix, lists, marks, tokens)
  local claimed = prefix .. 'pf:claimed'
  if #tokens == 0 or redis.call('EXISTS', claimed) == 0 then return end
  local packed = redis.pcall('HMGET', claimed, unpack(tokens))
  for i, token in ipairs(tokens) do
    if packed[i] then
      redis.call('HDEL', claimed, token)
      for _, name in ipairs(cmsgpack.unpack(packed[i])) do
        redis.pcall('SREM', prefix .. 'pf:claims:' .. name, token)
        if redis.pcall('HEXISTS', prefix .. 'pf:parked', name) == 1 then
          unpark(prefix, lists, marks, name, 1)
        end
      end
    end
  end
end
