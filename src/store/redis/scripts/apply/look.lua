-- Makes changes, each one whole or not at all, independent of each other and in order. No two of them are
-- made under the same lease or have to do with the same document: the caller sees to that, so that what is
-- asked once for all of them stays true until the last is made.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:leases  5 pf:inflight  6 pf:crashes  7 pf:due
--          8 pf:token  9 pf:event_id  10 pf:expiring  11 pf:indexed  12 pf:events:all
-- ARGV     1 prefix of all keys  2 newest events that a stream keeps  3 ms that a stream lives on  4 plan
--          then, each for all changes: tokens, keys expected to be absent (of documents that are not put),
--          keys put, keys deleted, standings, and the texts of the changes, change by change
-- plan     numbers of two bytes: tokens, absent keys, keys put, keys deleted, standings, enqueues, events;
--          then for each change
--            9 bytes: end of the lease (0 keep, 1 finish, 2 requeue, 3 park, 4 there is none) and how many of
--                     each follow: expectations, puts, deletes, enqueues, events, revocations, claims, runs
--                     of adds that have to do with one tally
--            2 bytes: how many texts it has
--            expectation: 2 bytes, which of the keys, and 32768 more with a text: sha1 of the body
--            run of adds: 1 byte, how many; texts: tally, life in ms or '', their fields, by how much each, and
--                         below what each or ''
--            put:         1 byte, which standing; text: body
--            delete:      texts: id, main index
--            enqueue:     1 byte, rank, and 4 more with a text: due in ms; text: payload
--            event:       texts: stream, body
--            claim:       texts: name, limit; last of all, and uncounted, the one that a parked payload waits for
--          A change's tokens are its lease's, if there is one, and those it revokes.
-- standing a msgpack list of texts: where the id begins in a key, life in ms or '', main index, score there
--          or '', narrower index, score there, … Many documents share one, so that it is read once.
-- Returns  two numbers for each change
--            1, id of the first event      made
--            0, 0                          refused: the lease is not held
--            0, n                          refused: expectation n does not hold
--            2, n                          refused: claim n cannot be had
--            3, n                          refused: the field of add n is not below its bound
--            -1, {key, error}              nothing written: a key is of the wrong type
--
-- Most of a script's time is the number of its calls, of its texts and of its tables. Hence the form: what
-- is asked of many keys or tokens stands side by side in ARGV. Documents and events are written as each
-- change is made, so that the next one finds them. What stands beside them (indexes, lives, lists, leases)
-- is noted and written once for all changes at the end.

-- ---- what all changes need to know, asked for at once ------------------------------------------

local prefix, max_events, retention, plan = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local call, byte = redis.call, string.byte

local first_token, first_key, first_put, first_delete, first_standing, first_text
local all_puts, all_enqueues, all_events
do
  local t1, t2, a1, a2, p1, p2, d1, d2, s1, s2, q1, q2, e1, e2 = byte(plan, 1, 14)
  first_token = 5
  first_key = first_token + t1 * 256 + t2
  first_put = first_key + a1 * 256 + a2
  all_puts = p1 * 256 + p2
  first_delete = first_put + all_puts
  first_standing = first_delete + d1 * 256 + d2
  first_text = first_standing + s1 * 256 + s2
  all_enqueues = q1 * 256 + q2
  all_events = e1 * 256 + e2
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

-- The ends of the leases, false for one that is not held; in the order of the tokens.
local held = {}
if first_token < first_key and fits('ZCARD', KEYS[4]) then
  held = call('ZMSCORE', KEYS[4], unpack(ARGV, first_token, first_key - 1))
end

-- document -> its narrower indexes (packed); most have none
local narrower = {}
if first_put < first_standing and fits('HLEN', KEYS[11]) and call('EXISTS', KEYS[11]) == 1 then
  local packed = call('HMGET', KEYS[11], unpack(ARGV, first_put, first_standing - 1))
  for i = 1, #packed do
    if packed[i] then narrower[ARGV[first_put + i - 1]] = packed[i] end
  end
end

-- Most documents that are put are new, and so are those expected to be absent: then nobody has to be asked
-- one by one whether they are there and of which type.
local all_new = first_key == first_delete or call('EXISTS', unpack(ARGV, first_key, first_delete - 1)) == 0
