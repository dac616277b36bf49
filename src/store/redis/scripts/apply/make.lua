-- ---- one change --------------------------------------------------------------------------------

-- Whether the document is as expected; nothing if its key is of the wrong type. Without a revision it is
-- expected to be absent.
local function is_as_expected(key, sha1)
  if not sha1 and all_new then return true end
  if not fits('STRLEN', key) then return end
  local body = call('GET', key)
  if not sha1 then return not body end
  return (body and redis.sha1hex(body)) == sha1
end

local function lists_fit()
  return fits('LLEN', KEYS[1]) and fits('LLEN', KEYS[2]) and fits('LLEN', KEYS[3]) and fits('HLEN', KEYS[6])
end

-- Whether every key that ending the lease will write can be written.
local function lease_can_end(token, ends, name)
  if not fits('HLEN', KEYS[5]) then return false end
  if ends == 1 then return true end
  if not lists_fit() then return false end
  if ends == 3 and not fits('LLEN', prefix .. 'pf:parked:' .. name) then return false end
  if unpack_lease(call('HGET', KEYS[5], token)) then return true end
  misfit = { KEYS[5], 'the payload of lease ' .. token .. ' is missing' }
  return false
end

-- The same for the documents that are put, from plan[p] and ARGV[k] on.
local function can_be_put(p, k, puts)
  if not (fits('ZCARD', KEYS[10]) and fits('HLEN', KEYS[11])) then return false end
  for i = 0, puts - 1 do
    if not (all_new or fits('STRLEN', ARGV[k + i])) then return false end
    local standing = standing_of(byte(plan, p + i))
    if not standing.fits then
      if standing.score and not fits('ZCARD', standing.main) then return false end
      local list = standing.list
      for j = 5, #list, 2 do
        if not fits('ZCARD', list[j]) then return false end
      end
      standing.fits = true
    end
  end
  return true
end

-- The same for what is enqueued, from plan[p] on.
local function can_be_enqueued(p, enqueues)
  for i = 0, enqueues - 1 do
    local rank = byte(plan, p + i)
    if rank < 4 then
      if not fits('LLEN', KEYS[rank + 1]) then return false end
    elseif not (fits('ZCARD', KEYS[7]) and fits('STRLEN', KEYS[8])) then
      return false
    end
  end
  return true
end

-- The same for events, from ARGV[x] on.
local function can_be_appended(x, events)
  if not (fits('STRLEN', KEYS[9]) and fits('XLEN', KEYS[12])) then return false end
  for i = 0, events - 1 do
    if not fits('XLEN', prefix .. 'pf:events:' .. ARGV[x + 2 * i]) then return false end
  end
  return true
end

-- Makes the change whose items are at plan[p], tokens at ARGV[t], keys put at ARGV[k], keys deleted at ARGV[d]
-- and texts at ARGV[x], the first behind which comes at ARGV[beyond]; its two numbers.
local function make(p, t, k, d, x, beyond, ends, expects, puts, deletes, enqueues, events, revokes, claims, runs)
  local token
  if ends < 4 then
    token = ARGV[t]
    if not fits('ZCARD', KEYS[4]) then return -1, misfit end
    if not held[t - first_token + 1] then return 0, 0 end
    t = t + 1
  else
    ends = 0
  end
  for i = 1, expects do
    local high, low = byte(plan, p, p + 1)
    local sha1
    if high > 127 then
      high, sha1, x = high - 128, ARGV[x], x + 1
    end
    local holds = is_as_expected(ARGV[first_key + high * 256 + low], sha1)
    if holds == nil then return -1, misfit end
    if not holds then return 0, i end
    p = p + 2
  end
  local claims_at, name, limit = beyond - 2 * claims, nil, nil
  if ends == 3 then
    name, limit = ARGV[beyond - 2], ARGV[beyond - 1]
    claims_at = claims_at - 2
  end
  if claims > 0 then
    local refused = first_refused(token, claims_at, claims)
    if refused == -1 then return -1, misfit end
    if refused then return 2, refused end
  end
  local adds_p, adds_x
  if runs > 0 then
    local behind, refused = look_at_adds(p, x, runs)
    if refused then return 3, refused end
    if not behind then return -1, misfit end
    adds_p, adds_x = p, x
    p, x = p + runs, behind
  end
  if ends > 0 and not lease_can_end(token, ends, name)
    or revokes > 0 and not (fits('ZCARD', KEYS[4]) and fits('HLEN', KEYS[5]))
    or puts + deletes > 0 and not can_be_put(p, k, puts)
    or enqueues > 0 and not can_be_enqueued(p + puts, enqueues)
    or events > 0 and not can_be_appended(claims_at - 2 * events, events) then
    return -1, misfit
  end

  for i = 0, puts - 1 do
    put(ARGV[k + i], ARGV[x + i], standing_of(byte(plan, p + i)))
  end
  p, x = p + puts, x + puts
  for i = 0, deletes - 1 do
    delete(ARGV[d + i], ARGV[x], ARGV[x + 1])
    x = x + 2
  end
  for i = 0, enqueues - 1 do
    local rank = byte(plan, p + i)
    if rank < 4 then
      enqueue(rank, ARGV[x])
      x = x + 1
    else
      enqueue_due(rank - 4, ARGV[x], ARGV[x + 1])
      x = x + 2
    end
  end
  for _ = 1, events do
    append(ARGV[x], ARGV[x + 1])
    x = x + 2
  end
  if adds_p then add(adds_p, adds_x, runs) end
  local still_held = token ~= nil
  for i = t, t + revokes - 1 do
    if held[i - first_token + 1] then
      end_lease(ARGV[i], 1)
      if ARGV[i] == token then still_held = false end
    end
  end
  if claims > 0 and still_held then claim(token, claims_at, claims) end
  if ends > 0 and still_held then end_lease(token, ends, name, limit) end
  return 1, events > 0 and next_event - events or 0
end

local replies = {}
do
  local n, p, t, k, d, x = 0, 15, first_token, first_put, first_delete, first_text
  while p <= #plan do
    local ends, expects, puts, deletes, enqueues, events, revokes, claims, runs, high, low = byte(plan, p, p + 10)
    local beyond = x + high * 256 + low
    replies[n + 1], replies[n + 2] =
      make(p + 11, t, k, d, x, beyond, ends, expects, puts, deletes, enqueues, events, revokes, claims, runs)
    n = n + 2
    p = p + 11 + 2 * expects + runs + puts + enqueues
    t = t + revokes + (ends < 4 and 1 or 0)
    k, d, x = k + puts, d + deletes, beyond
  end
end
write_noted()
return replies
