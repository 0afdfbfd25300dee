-- Holds all calls to Seam back. A shorter hold never cuts a longer one.
--
-- KEYS[1] hold  ARGV[1] for so many ms
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], 1, 'PX', ARGV[1])
end
return 1
