-- Makes changes, each one whole or not at all, independent of each other and in order.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:crashes  7 pf:due
--          8 pf:token  9 pf:event_id  10 pf:expiring  11 pf:indexed  12 pf:events:all
-- ARGV     1 prefix of all keys  2 newest events that a stream keeps  3 ms that a stream lives on
--          then for each change
--            token or ''
--            eight bytes: end of the lease (0 keep, 1 finish, 2 requeue, 3 park) and how many of each
--                         follow: expectations, puts, deletes, enqueues, events, revocations, claims
--            expectations: key, sha1 of the body or '' for absent
--            puts:         key, id, body, standing
--            deletes:      key, id, main index
--            enqueues:     rank, due in ms or '', payload
--            events:       stream, body
--            revocations:  token
--            claims:       name, limit; last of all, and uncounted, the one that a parked payload waits for
--          standing is a msgpack list of texts: life in ms or '', main index, score there or '',
--          narrower index, score there, … Many documents share one, so that it is read once.
-- Returns  two numbers for each change
--            1, id of the first event      made
--            0, 0                          refused: the lease is not held
--            0, n                          refused: expectation n does not hold
--            2, n                          refused: claim n cannot be had
--            -1, {key, error}              nothing written: a key is of the wrong type
--
-- Documents and events are written as each change is made, so that the next one finds them. What stands
-- beside them (indexes, lives, lists, leases) is noted and written once for all changes at the end:
-- most of a script's time is the number of its calls, of its texts and of its tables.

local prefix, max_events, retention = ARGV[1], ARGV[2], ARGV[3]
local call, byte = redis.call, string.byte

-- ---- what all changes need to know, asked for at once ------------------------------------------

local starts, tokens, known, documents = {}, {}, {}, {}
local all_events, all_enqueues = 0, 0
do
  local a, n, t, k, d = 4, 0, 0, 0, 0
  while a <= #ARGV do
    n = n + 1
    starts[n] = a
    if ARGV[a] ~= '' then
      t = t + 1
      tokens[t] = ARGV[a]
    end
    local ends, expects, puts, deletes, enqueues, events, revokes, claims = byte(ARGV[a + 1], 1, 8)
    a = a + 2
    for _ = 1, expects do
      if ARGV[a + 1] == '' then
        k = k + 1
        known[k] = ARGV[a]
      end
      a = a + 2
    end
    for _ = 1, puts do
      k = k + 1
      known[k] = ARGV[a]
      d = d + 1
      documents[d] = ARGV[a]
      a = a + 4
    end
    for _ = 1, deletes do
      d = d + 1
      documents[d] = ARGV[a]
      a = a + 3
    end
    a = a + 3 * enqueues + 2 * events
    for _ = 1, revokes do
      t = t + 1
      tokens[t] = ARGV[a]
      a = a + 1
    end
    a = a + 2 * claims
    if ends == 3 then a = a + 2 end
    all_events = all_events + events
    all_enqueues = all_enqueues + enqueues
  end
end

local fitting = {}
local misfit

-- Whether a key is absent or of the type that this reading command wants.
local function fits(command, key)
  local found = fitting[key]
  if found == nil then
    local answer = redis.pcall(command, key)
    found = not (type(answer) == 'table' and answer.err) or { key, answer.err }
    fitting[key] = found
  end
  if found ~= true then misfit = found end
  return found == true
end

-- token -> whether its lease is held
local held = {}
if #tokens > 0 and fits('ZCARD', KEYS[4]) then
  local scores = call('ZMSCORE', KEYS[4], unpack(tokens))
  for i = 1, #tokens do held[tokens[i]] = scores[i] and true end
end

-- document -> its narrower indexes (packed) or false
local narrower = {}
if #documents > 0 and fits('HLEN', KEYS[11]) then
  local packed = call('HMGET', KEYS[11], unpack(documents))
  for i = 1, #documents do narrower[documents[i]] = packed[i] end
end

-- Most documents that are put are new, and so are those expected to be: then nobody has to be asked one
-- by one whether they are there and of which type. `written` knows those that have come about since.
local all_new = #known == 0 or call('EXISTS', unpack(known)) == 0
local written = {}

-- ---- what is to be written at the end ----------------------------------------------------------

local pushes = { {}, {}, {} }            -- payloads for the heads of the lists
local due = {}                           -- score, member, …
local looks = {}                         -- end of lives -> the documents whose lives end then
local come, go = {}, {}                  -- index -> score, id, … and index -> id, …
local rewritten = {}                     -- document -> its entry in pf:indexed has changed
local ended = {}                         -- tokens
local streams = {}                       -- stream -> written to

local function write_place(index)
  if come[index] then call('ZADD', index, unpack(come[index])) end
  -- A key that is no index (any more) has nothing to leave, hence pcall.
  if go[index] then redis.pcall('ZREM', index, unpack(go[index])) end
  come[index], go[index] = nil, nil
end

-- One of the two lists of an index is all there is of it: who comes to the other one writes it first, so
-- that what was noted last is what holds.
local function enter(index, score, id)
  if go[index] then write_place(index) end
  local list = come[index]
  if not list then
    come[index] = { score, id }
  else
    local n = #list
    list[n + 1], list[n + 2] = score, id
    if n > 400 then write_place(index) end
  end
end

local function leave(index, id)
  if come[index] then write_place(index) end
  local list = go[index]
  if not list then
    go[index] = { id }
  else
    list[#list + 1] = id
  end
end

local function write_noted()
  for rank = 1, 3 do
    if #pushes[rank] > 0 then call('LPUSH', KEYS[rank], unpack(pushes[rank])) end
  end
  if #due > 0 then call('ZADD', KEYS[7], unpack(due)) end
  for over, keys in pairs(looks) do call('ZADD', KEYS[10], over, cmsgpack.pack(keys)) end
  local indexes = {}
  for index in pairs(come) do indexes[#indexes + 1] = index end
  for index in pairs(go) do indexes[#indexes + 1] = index end
  for _, index in ipairs(indexes) do write_place(index) end
  if next(rewritten) then
    local set, cleared = {}, {}
    for key in pairs(rewritten) do
      if narrower[key] then
        set[#set + 1] = key
        set[#set + 1] = narrower[key]
      else
        cleared[#cleared + 1] = key
      end
    end
    if #set > 0 then call('HSET', KEYS[11], unpack(set)) end
    if #cleared > 0 then call('HDEL', KEYS[11], unpack(cleared)) end
  end
  if #ended > 0 then
    call('ZREM', KEYS[4], unpack(ended))
    call('HDEL', KEYS[5], unpack(ended))
  end
  for stream in pairs(streams) do call('PEXPIRE', stream, retention) end
end

-- ---- puts and deletes --------------------------------------------------------------------------

-- What a standing says, read once for all documents that share it.
local standings = {}
local function standing_of(packed)
  local found = standings[packed]
  if not found then
    local list = cmsgpack.unpack(packed)
    found = { main = list[2], score = list[3] ~= '' and list[3], list = list }
    if list[1] ~= '' then
      -- Redis ends a life after the millisecond of PXAT; ours ends when it begins.
      local life = tonumber(list[1])
      found.last = int(now + life - 1)
      found.over = int(now + life)
    end
    if #list > 3 then
      local names, stays = {}, {}
      for i = 4, #list, 2 do
        names[#names + 1] = list[i]
        stays[list[i]] = true
      end
      found.narrower, found.stays = cmsgpack.pack(names), stays
    end
    standings[packed] = found
  end
  return found
end

local nowhere = {}

-- Notes that a document stands in these narrower indexes and no others.
local function stand_in(key, id, packed, stays)
  local before = narrower[key]
  if before == packed then return end
  for _, index in ipairs(before and cmsgpack.unpack(before) or nowhere) do
    if not stays[index] then leave(index, id) end
  end
  narrower[key], rewritten[key] = packed, true
end

local function put(key, id, body, standing)
  written[key] = true
  if standing.over then
    call('SET', key, body, 'PXAT', standing.last)
    local keys = looks[standing.over]
    if not keys then
      looks[standing.over] = { key }
    else
      keys[#keys + 1] = key
    end
  else
    call('SET', key, body)
  end
  if standing.score then
    enter(standing.main, standing.score, id)
  else
    leave(standing.main, id)
  end
  if standing.narrower then
    local list = standing.list
    for i = 4, #list, 2 do enter(list[i], list[i + 1], id) end
    stand_in(key, id, standing.narrower, standing.stays)
  elseif narrower[key] then
    stand_in(key, id, false, nowhere)
  end
end

local function delete(key, id, main)
  call('UNLINK', key)
  fitting[key] = true
  leave(main, id)
  stand_in(key, id, false, nowhere)
end

-- ---- queues, events, leases --------------------------------------------------------------------

local next_number
local function enqueue(rank, due_at, payload)
  if due_at == '' then
    local list = pushes[rank + 1]
    list[#list + 1] = payload
  else
    -- The number keeps equal payloads apart and payloads of one moment in order.
    next_number = next_number or fresh(KEYS[8], call('GET', KEYS[8]), all_enqueues)
    due[#due + 1] = due_at
    due[#due + 1] = string.format('%016d', next_number) .. ' ' .. rank .. ' ' .. payload
    next_number = next_number + 1
  end
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
  held[token] = false
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

-- ---- one change --------------------------------------------------------------------------------

-- Whether the document is as expected; nothing if its key is of the wrong type.
local function is_as_expected(key, sha1)
  if sha1 == '' and all_new and not written[key] then return true end
  if not fits('STRLEN', key) then return end
  local body = call('GET', key)
  return (body and redis.sha1hex(body) or '') == sha1
end

local function lists_fit()
  return fits('LLEN', KEYS[1]) and fits('LLEN', KEYS[2]) and fits('LLEN', KEYS[3]) and fits('HLEN', KEYS[6])
end

-- Whether every key that the change will write can be written.
local function writable(a, token, ends, name, puts, deletes, enqueues, events)
  if ends > 0 and not fits('HLEN', KEYS[5]) then return false end
  if ends > 1 then
    if not lists_fit() then return false end
    if ends == 3 and not fits('LLEN', prefix .. 'pf:parked:' .. name) then return false end
    if not unpack_lease(call('HGET', KEYS[5], token)) then
      misfit = { KEYS[5], 'the payload of lease ' .. token .. ' is missing' }
      return false
    end
  end
  if puts + deletes > 0 and not (fits('ZCARD', KEYS[10]) and fits('HLEN', KEYS[11])) then return false end
  for _ = 1, puts do
    local standing = standing_of(ARGV[a + 3])
    if not (all_new or fits('STRLEN', ARGV[a])) then return false end
    if standing.score and not fits('ZCARD', standing.main) then return false end
    if standing.narrower then
      local list = standing.list
      for i = 4, #list, 2 do
        if not fits('ZCARD', list[i]) then return false end
      end
    end
    a = a + 4
  end
  a = a + 3 * deletes
  for _ = 1, enqueues do
    if ARGV[a + 1] == '' then
      if not fits('LLEN', KEYS[ARGV[a] + 1]) then return false end
    elseif not (fits('ZCARD', KEYS[7]) and fits('STRLEN', KEYS[8])) then
      return false
    end
    a = a + 3
  end
  if events > 0 and not (fits('STRLEN', KEYS[9]) and fits('XLEN', KEYS[12])) then return false end
  for _ = 1, events do
    if not fits('XLEN', prefix .. 'pf:events:' .. ARGV[a]) then return false end
    a = a + 2
  end
  return true
end

-- Makes the change at ARGV[a]; its two numbers.
local function make(a)
  local token = ARGV[a]
  local ends, expects, puts, deletes, enqueues, events, revokes, claims = byte(ARGV[a + 1], 1, 8)
  a = a + 2
  if token ~= '' then
    if not fits('ZCARD', KEYS[4]) then return -1, misfit end
    if not held[token] then return 0, 0 end
  end
  for i = 1, expects do
    local holds = is_as_expected(ARGV[a], ARGV[a + 1])
    if holds == nil then return -1, misfit end
    if not holds then return 0, i end
    a = a + 2
  end
  local claims_at = a + 4 * puts + 3 * deletes + 3 * enqueues + 2 * events + revokes
  if claims > 0 then
    local refused = first_refused(token, claims_at, claims)
    if refused == -1 then return -1, misfit end
    if refused then return 2, refused end
  end
  local name, limit = ARGV[claims_at + 2 * claims], ARGV[claims_at + 2 * claims + 1]
  if not writable(a, token, ends, name, puts, deletes, enqueues, events) then return -1, misfit end

  for _ = 1, puts do
    put(ARGV[a], ARGV[a + 1], ARGV[a + 2], standing_of(ARGV[a + 3]))
    a = a + 4
  end
  for _ = 1, deletes do
    delete(ARGV[a], ARGV[a + 1], ARGV[a + 2])
    a = a + 3
  end
  for _ = 1, enqueues do
    enqueue(ARGV[a], ARGV[a + 1], ARGV[a + 2])
    a = a + 3
  end
  for _ = 1, events do
    append(ARGV[a], ARGV[a + 1])
    a = a + 2
  end
  for _ = 1, revokes do
    if held[ARGV[a]] then end_lease(ARGV[a], 1) end
    a = a + 1
  end
  if claims > 0 and held[token] then claim(token, claims_at, claims) end
  if ends > 0 and held[token] then end_lease(token, ends, name, limit) end
  return 1, events > 0 and next_event - events or 0
end

local replies = {}
for i = 1, #starts do
  replies[2 * i - 1], replies[2 * i] = make(starts[i])
end
write_noted()
return replies
