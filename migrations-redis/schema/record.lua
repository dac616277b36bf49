-- Notes that a migration was applied, by whoever holds the lease and only as the next one.
-- KEYS     1 pf:schema  2 pf:schema:lease
-- ARGV     1 holder  2 number of the migration  3 the lowest version that a program must know  4 field of its note  5 note
-- Returns  1 noted, 0 not: the lease is lost, or the version is not the one before

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'version') or 0) ~= tonumber(ARGV[2]) - 1 then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'min_reader', ARGV[3], ARGV[4], ARGV[5])
return 1
