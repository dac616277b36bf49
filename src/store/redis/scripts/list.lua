-- One page of an index, newest first, then by descending id; or from the other end.
-- KEYS     1 the index
-- ARGV     1 what stands before an id in a document's key  2 how many at the most (1..100)
--          3 score of the entry to go on after, '' to begin  4 its id
--          5 1: the oldest first, then by ascending id
-- Returns  {score, id of the last entry looked at (false, false if none follows), id, body, id, body, …}

-- Whether a stands before b, byte by byte as Redis orders members; Lua's < asks the server's locale.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local start = 0
local score, id = ARGV[3], ARGV[4]
local oldest = ARGV[5] == '1'
local range = oldest and 'ZRANGE' or 'ZREVRANGE'
if score ~= '' then
  -- The entry itself may be gone or moved: its place is found among those of the same score by halving.
  local low
  if oldest then
    low = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. score)
  else
    low = redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')
  end
  local high = low + redis.call('ZCOUNT', KEYS[1], score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call(range, KEYS[1], middle, middle)[1]
    local behind
    if oldest then behind = before(id, member) else behind = before(member, id) end
    if behind then
      high = middle
    else
      low = middle + 1
    end
  end
  start = low
end

local limit = tonumber(ARGV[2])
local rows = redis.call(range, KEYS[1], start, start + limit, 'WITHSCORES')
if #rows == 0 then return { false, false } end
local seen = math.min(#rows / 2, limit)
local keys = {}
for i = 1, seen do keys[i] = ARGV[1] .. rows[2 * i - 1] end
local bodies = redis.call('MGET', unpack(keys))
local more = #rows / 2 > limit
local reply = { more and rows[2 * seen], more and rows[2 * seen - 1] }
for i = 1, seen do
  if bodies[i] then
    reply[#reply + 1] = rows[2 * i - 1]
    reply[#reply + 1] = bodies[i]
  end
end
return reply
