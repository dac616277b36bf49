-- How much waits and how much is held, at one moment.
-- KEYS     1 queue_high  2 queue  3 queue_low  4 pf:due  5 pf:leases  6 pf:parked_count  7 pf:paused
-- Returns  {high, normal, low, due, leased, parked, ranks of paused queues}

return {
  redis.call('LLEN', KEYS[1]), redis.call('LLEN', KEYS[2]), redis.call('LLEN', KEYS[3]),
  redis.call('ZCARD', KEYS[4]), redis.call('ZCARD', KEYS[5]),
  math.max(0, tonumber(redis.call('GET', KEYS[6]) or 0) or 0), table.concat(redis.call('HKEYS', KEYS[7])),
}
