-- Gives back entries that this consumer holds and did not start: they wait, due at once, and a sleeping worker is woken.
--
-- KEYS[1] log  KEYS[2] due  KEYS[3] wake
-- ARGV[1] group  ARGV[2] consumer
-- Returns the count of entries given back
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 10000, ARGV[2])
for _, pending in ipairs(held) do
  redis.call('XACK', KEYS[1], ARGV[1], pending[1])
  redis.call('ZADD', KEYS[2], now, pending[1])
end
if #held > 0 then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 100, '*', 'due', #held)
end
return #held
