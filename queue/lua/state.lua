-- Puts a key's state in the place of the one that was read before.
--
-- KEYS[1] state  KEYS[2] lock
-- ARGV[1] the state that was read ("" = none)  ARGV[2] new state  ARGV[3] lifetime in ms
-- Returns 1 stored, 0 it is another one by now, -1 a worker holds the key
local lock = redis.call('GET', KEYS[2])
if lock and string.sub(lock, 1, 1) ~= '|' then -- who only waits for it holds nothing
  return -1
end
local present = redis.call('GET', KEYS[1]) or ''
if present == ARGV[2] then
  return 1 -- our own call, whose reply was lost
end
if present ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
