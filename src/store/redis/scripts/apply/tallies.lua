-- ---- tallies -----------------------------------------------------------------------------------

-- MAX_TALLY of the contract. What goes beyond it is seen to, although Lua may round it.
local most = 2 ^ 53 - 1

-- Whether HINCRBY can add to what stands in a field: to whatever it has written, and we have kept in bounds.
local function is_value(text)
  local number = tonumber(text)
  return number and number >= -most and number <= most and int(number) == text
end

-- Looks at what a change adds, with its runs at plan[p] and their texts from ARGV[x] on. Answers where the
-- texts end; nothing if a key is of the wrong type; false and which, if an add is refused.
local function look_at_adds(p, x, runs)
  local before = 0
  for i = p, p + runs - 1 do
    local key, fields = prefix .. 'pf:tally:' .. ARGV[x], byte(plan, i)
    local values = redis.pcall('HMGET', key, unpack(ARGV, x + 2, x + 1 + fields))
    if values.err then
      misfit = { key, values.err }
      return
    end
    local bounds = x + 1 + 2 * fields
    for j = 1, fields do
      if values[j] and not is_value(values[j]) then
        misfit = { key, 'a field of it is no number that can be added to' }
        return
      end
      local below = ARGV[bounds + j]
      if below ~= '' and tonumber(values[j] or 0) >= tonumber(below) then return false, before + j end
    end
    before = before + fields
    x = x + 2 + 3 * fields
  end
  return x
end

-- Makes the adds that were looked at. The lives that are said begin when all is added.
local function add(p, x, runs)
  local lives
  for i = p, p + runs - 1 do
    local key, fields = prefix .. 'pf:tally:' .. ARGV[x], byte(plan, i)
    for j = x + 2, x + 1 + fields do
      local value = call('HINCRBY', key, ARGV[j], ARGV[j + fields])
      if value > most then
        call('HSET', key, ARGV[j], int(most))
      elseif value < -most then
        call('HSET', key, ARGV[j], int(-most))
      end
    end
    if ARGV[x + 1] ~= '' then
      lives = lives or {}
      lives[key] = tonumber(ARGV[x + 1])
    end
    x = x + 2 + 3 * fields
  end
  if lives then
    -- As with documents: Redis ends a life after the millisecond that it is given.
    for key, life in pairs(lives) do call('PEXPIREAT', key, int(now + life - 1)) end
  end
end
