-- Books calls to Seam.
--
-- KEYS[1] rate  KEYS[2] hold
-- ARGV[1] how many  ARGV[2] interval in ms  ARGV[3] burst in ms
-- Returns ms until the first may start, ms that all calls are held back (negative: they are not)
local _, wait = take(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), true)
return { wait, redis.call('PTTL', KEYS[2]) }
