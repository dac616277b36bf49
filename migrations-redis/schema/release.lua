-- Gives up the lease of whoever migrates.
-- KEYS     1 pf:schema:lease
-- ARGV     1 holder
-- Returns  1 it was held, 0 it was not

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
