-- Wakes a sleeping worker.
--
-- KEYS[1] wake
redis.call('XADD', KEYS[1], 'MAXLEN', '~', 100, '*', 'due', 1)
return 1
