-- Moves back what is timed by the server's clock, which was set back: else due times, leases and the rate would stand still
-- until the clock has caught up. Leases begin anew: their holders may be alive.
--
-- KEYS[1] log  KEYS[2] due  KEYS[3] rate  KEYS[4] hold  KEYS[5] mark, so that one of several processes does it
-- ARGV[1] group  ARGV[2] ms that the clock went back  ARGV[3] lifetime of the mark in ms
-- Returns 1 where it was done, 0 where another process did
if not redis.call('SET', KEYS[5], 1, 'NX', 'PX', ARGV[3]) then
  return 0
end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local waiting = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'WITHSCORES')
for n = 1, #waiting, 2 do
  redis.call('ZADD', KEYS[2], waiting[n + 1] - ARGV[2], waiting[n])
end
for _, held in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 10000)) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], held[2], 0, held[1], 'JUSTID')
end
for k = 3, 4 do
  local left = redis.call('PTTL', KEYS[k])
  if left > 0 then
    redis.call('PEXPIRE', KEYS[k], math.max(1, left - ARGV[2]))
  end
end
return 1
