-- Extends the lease of whoever migrates.
-- KEYS     1 pf:schema:lease
-- ARGV     1 holder  2 ms
-- Returns  1 it is held, 0 it is not

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
