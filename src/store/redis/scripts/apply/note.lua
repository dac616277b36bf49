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
