-- ---- puts and deletes --------------------------------------------------------------------------

-- What a standing says, read once for all documents that share it.
local standings = {}
local function standing_of(number)
  local found = standings[number]
  if not found then
    local list = cmsgpack.unpack(ARGV[first_standing + number])
    found = { id_at = tonumber(list[1]), main = list[3], score = list[4] ~= '' and list[4], list = list }
    if list[2] ~= '' then
      -- Redis ends a life after the millisecond of PXAT; ours ends when it begins.
      local life = tonumber(list[2])
      found.last = int(now + life - 1)
      found.over = int(now + life)
    end
    if #list > 4 then
      local names, stays = {}, {}
      for i = 5, #list, 2 do
        names[#names + 1] = list[i]
        stays[list[i]] = true
      end
      found.narrower, found.stays = cmsgpack.pack(names), stays
    end
    standings[number] = found
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

local sub = string.sub
local function put(key, body, standing)
  local id = sub(key, standing.id_at)
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
    for i = 5, #list, 2 do enter(list[i], list[i + 1], id) end
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
