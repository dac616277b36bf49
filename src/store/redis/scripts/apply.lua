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
--
-- Documents and events are written as each change is made, so that the next one finds them. What stands
-- beside them (indexes, lives, lists, leases) is noted and written once for all changes at the end:
-- most of a script's time is the number of its calls.

local prefix, max_events, retention = ARGV[1], ARGV[2], ARGV[3]

-- Where the parts of the change at ARGV[a] begin.
local function parse(a)
  local change = {
    token = ARGV[a], ends = ARGV[a + 1],
    expects = tonumber(ARGV[a + 2]), puts = tonumber(ARGV[a + 3]), deletes = tonumber(ARGV[a + 4]),
    enqueues = tonumber(ARGV[a + 5]), events = tonumber(ARGV[a + 6]),
    expect_at = a + 7,
  }
  change.put_at = change.expect_at + 3 * change.expects
  a = change.put_at
  for _ = 1, change.puts do a = a + 6 + 2 * ARGV[a + 5] end
  change.delete_at = a
  change.enqueue_at = change.delete_at + 2 * change.deletes
  change.event_at = change.enqueue_at + 3 * change.enqueues
  change.next_at = change.event_at + 2 * change.events
  return change
end

-- ---- what all changes need to know, asked for at once ------------------------------------------

local changes, tokens, documents, names = {}, {}, {}, {}
local all_events, all_enqueues = 0, 0
do
  local a = 4
  while a <= #ARGV do
    local change = parse(a)
    changes[#changes + 1] = change
    if change.token ~= '' then tokens[#tokens + 1] = change.token end
    a = change.put_at
    for _ = 1, change.puts do
      local name = ARGV[a] .. ':' .. ARGV[a + 1]
      names[#names + 1] = name
      documents[#documents + 1] = prefix .. name
      a = a + 6 + 2 * ARGV[a + 5]
    end
    for at = change.delete_at, change.enqueue_at - 1, 2 do
      names[#names + 1] = ARGV[at] .. ':' .. ARGV[at + 1]
    end
    all_events = all_events + change.events
    all_enqueues = all_enqueues + change.enqueues
    a = change.next_at
  end
end

local fitting = {}
local misfit

-- Whether a key is absent or of the type that this reading command wants.
local function fits(command, key)
  local known = fitting[key]
  if known == nil then
    local answer = redis.pcall(command, key)
    known = not (type(answer) == 'table' and answer.err) or { -1, key, answer.err }
    fitting[key] = known
  end
  if known ~= true then misfit = known end
  return known == true
end

-- token -> whether its lease is held
local held = {}
if #tokens > 0 and fits('ZCARD', KEYS[4]) then
  local scores = redis.call('ZMSCORE', KEYS[4], unpack(tokens))
  for i, token in ipairs(tokens) do held[token] = scores[i] and true end
end

-- document -> its narrower indexes (packed) or false
local narrower = {}
if #names > 0 and fits('HLEN', KEYS[11]) then
  local packed = redis.call('HMGET', KEYS[11], unpack(names))
  for i, name in ipairs(names) do narrower[name] = packed[i] end
end

-- Most documents that are put are new: then none of them can be of another type.
local all_new = #documents == 0 or redis.call('EXISTS', unpack(documents)) == 0

-- ---- what is to be written at the end ----------------------------------------------------------

local pushes = { {}, {}, {} }            -- payloads for the heads of the lists
local due = {}                           -- score, member, …
local lives = {}                         -- document -> end of its life, or false
local places = {}                        -- index -> id -> score, or false
local rewritten = {}                     -- document -> its entry in pf:indexed has changed
local ended = {}                         -- tokens
local streams = {}                       -- stream -> written to

local function place(index, id, score)
  local ids = places[index]
  if not ids then
    ids = {}
    places[index] = ids
  end
  ids[id] = score
end

local function write_noted()
  for rank = 1, 3 do
    if #pushes[rank] > 0 then redis.call('LPUSH', KEYS[rank], unpack(pushes[rank])) end
  end
  if #due > 0 then redis.call('ZADD', KEYS[7], unpack(due)) end
  places[KEYS[10]] = lives
  for index, ids in pairs(places) do
    local come, go = {}, {}
    for id, score in pairs(ids) do
      if score then
        come[#come + 1] = score
        come[#come + 1] = id
      else
        go[#go + 1] = id
      end
    end
    if #come > 0 then redis.call('ZADD', index, unpack(come)) end
    -- A key that is no index (any more) has nothing to leave, hence pcall.
    if #go > 0 then redis.pcall('ZREM', index, unpack(go)) end
  end
  local set, cleared = {}, {}
  for name in pairs(rewritten) do
    if narrower[name] then
      set[#set + 1] = name
      set[#set + 1] = narrower[name]
    else
      cleared[#cleared + 1] = name
    end
  end
  if #set > 0 then redis.call('HSET', KEYS[11], unpack(set)) end
  if #cleared > 0 then redis.call('HDEL', KEYS[11], unpack(cleared)) end
  if #ended > 0 then
    redis.call('ZREM', KEYS[4], unpack(ended))
    redis.call('HDEL', KEYS[5], unpack(ended))
  end
  for stream in pairs(streams) do redis.call('PEXPIRE', stream, retention) end
end

-- ---- one change --------------------------------------------------------------------------------

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
    local kind, indexes = ARGV[a], tonumber(ARGV[a + 5])
    if not (all_new or fits('STRLEN', prefix .. kind .. ':' .. ARGV[a + 1])) then return false end
    if ARGV[a + 4] ~= '' and not fits('ZCARD', prefix .. kind .. 's_index') then return false end
    for i = 1, indexes do
      if not fits('ZCARD', prefix .. ARGV[a + 4 + 2 * i]) then return false end
    end
    a = a + 6 + 2 * indexes
  end
  for at = change.enqueue_at, change.event_at - 1, 3 do
    if ARGV[at + 1] == '' then
      if not fits('LLEN', KEYS[ARGV[at] + 1]) then return false end
    elseif not (fits('ZCARD', KEYS[7]) and fits('STRLEN', KEYS[8])) then
      return false
    end
  end
  if change.events > 0 and not (fits('STRLEN', KEYS[9]) and fits('XLEN', KEYS[12])) then return false end
  for at = change.event_at, change.next_at - 1, 2 do
    if not fits('XLEN', prefix .. 'pf:events:' .. ARGV[at]) then return false end
  end
  return true
end

-- Notes that a document stands in these narrower indexes and no others.
local function stand_in(name, id, packed, stays)
  local before = narrower[name]
  if before == packed then return end
  for _, index in ipairs(before and cmsgpack.unpack(before) or {}) do
    if not stays[index] then place(prefix .. index, id, false) end
  end
  narrower[name], rewritten[name] = packed, true
end

-- When a life of so many ms ends. Most documents of a batch have the same.
local ends = {}
local function ends_of(life)
  local known = ends[life]
  if not known then
    -- Redis ends a life after the millisecond of PXAT; ours ends when it begins.
    known = { last = int(now + life - 1), over = int(now + life) }
    ends[life] = known
  end
  return known
end

-- Writes the document at ARGV[a] and brings its indexes to what the put says; answers where the next begins.
local function put(a)
  local kind, id, life, score, indexes = ARGV[a], ARGV[a + 1], ARGV[a + 3], ARGV[a + 4], tonumber(ARGV[a + 5])
  local name = kind .. ':' .. id
  if life == '' then
    redis.call('SET', prefix .. name, ARGV[a + 2])
    lives[name] = false
  else
    local ends = ends_of(life)
    redis.call('SET', prefix .. name, ARGV[a + 2], 'PXAT', ends.last)
    lives[name] = ends.over
  end
  place(prefix .. kind .. 's_index', id, score ~= '' and score)
  if indexes > 0 or narrower[name] then
    local list, stays = {}, {}
    for i = 1, indexes do
      local index = ARGV[a + 4 + 2 * i]
      place(prefix .. index, id, ARGV[a + 5 + 2 * i])
      list[i], stays[index] = index, true
    end
    stand_in(name, id, indexes > 0 and cmsgpack.pack(list), stays)
  end
  return a + 6 + 2 * indexes
end

local function delete(kind, id)
  local name = kind .. ':' .. id
  redis.call('UNLINK', prefix .. name)
  fitting[prefix .. name] = true
  lives[name] = false
  place(prefix .. kind .. 's_index', id, false)
  stand_in(name, id, false, {})
end

local next_number
local function enqueue(rank, due_at, payload)
  if due_at == '' then
    local list = pushes[rank + 1]
    list[#list + 1] = payload
  else
    -- The number keeps equal payloads apart and payloads of one moment in order.
    next_number = next_number or fresh(KEYS[8], redis.call('GET', KEYS[8]), all_enqueues)
    due[#due + 1] = due_at
    due[#due + 1] = string.format('%016d', next_number) .. ' ' .. rank .. ' ' .. payload
    next_number = next_number + 1
  end
end

-- A stream is only ever written here, with rising ids, so XADD cannot refuse one; should a foreign hand
-- have written a higher id into it, its event is missing there and the change is made (pcall).
local next_event
local function append(stream, body)
  next_event = next_event or fresh(KEYS[9], redis.call('GET', KEYS[9]), all_events)
  local key, id = prefix .. 'pf:events:' .. stream, int(next_event)
  redis.pcall('XADD', key, 'MAXLEN', '~', max_events, id, 't', now_text, 'b', body)
  redis.pcall('XADD', KEYS[12], 'MAXLEN', '~', max_events, id, 't', now_text, 's', stream, 'b', body)
  streams[key] = true
  next_event = next_event + 1
end

local function end_lease(token, ends)
  held[token] = false
  ended[#ended + 1] = token
  if ends == 'requeue' then
    local rank, crashes, _, payload = unpack_lease(redis.call('HGET', KEYS[5], token))
    -- At once, so that it may be the first write; see the house rules.
    redis.call('ZREM', KEYS[4], token)
    redis.call('RPUSH', KEYS[rank + 1], payload)
    if crashes > 0 then mark_crashes(KEYS[6], rank, payload, crashes) end
  end
end

local function make(change)
  if change.token ~= '' then
    if not fits('ZCARD', KEYS[4]) then return misfit end
    if not held[change.token] then return { 0, 0 } end
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
  for at = change.delete_at, change.enqueue_at - 1, 2 do delete(ARGV[at], ARGV[at + 1]) end
  for at = change.enqueue_at, change.event_at - 1, 3 do enqueue(ARGV[at], ARGV[at + 1], ARGV[at + 2]) end
  for at = change.event_at, change.next_at - 1, 2 do append(ARGV[at], ARGV[at + 1]) end
  if change.token ~= '' and change.ends ~= 'keep' then end_lease(change.token, change.ends) end
  return { 1, change.events > 0 and next_event - change.events or 0 }
end

local replies = {}
for i, change in ipairs(changes) do replies[i] = make(change) end
write_noted()
return replies
