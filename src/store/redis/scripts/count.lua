-- How many documents stand in an index, if no life that has ended is still counted.
-- KEYS     1 the index  2 pf:expiring
-- Returns  the number, or -1: call expire first

if redis.call('ZCOUNT', KEYS[2], '-inf', now_text) > 0 then return -1 end
return redis.call('ZCARD', KEYS[1])
