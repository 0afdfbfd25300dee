-- Puts ended entries back to work: same id, no second copy of a payload, attempts start anew.
--
-- KEYS[1] log  KEYS[2] open  KEYS[3] due  KEYS[4] wake  KEYS[5..8] index of each terminal status
-- KEYS[8+n] for entry n: entry hash
-- ARGV[n] entry id
-- Returns for each entry: "1" replayed, "0" it has not ended, "-1" the log no longer holds it
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local reply, some = {}, false
for n = 1, #ARGV do
  local id, entry = ARGV[n], KEYS[8 + n]
  if redis.call('ZSCORE', KEYS[2], id) then
    reply[n] = '0'
  elseif #redis.call('XRANGE', KEYS[1], id, id) == 0 then
    reply[n] = '-1'
  else
    for s = 5, 8 do
      redis.call('ZREM', KEYS[s], id)
    end
    redis.call('HSET', entry, 'status', 'queued', 'attempts', 0, 'replays', (redis.call('HGET', entry, 'replays') or 0) + 1)
    redis.call('HDEL', entry, 'first_failed_at', 'settled_by')
    redis.call('PERSIST', entry)
    redis.call('ZADD', KEYS[2], string.match(id, '^%d+'), id)
    redis.call('ZADD', KEYS[3], now, id)
    reply[n], some = '1', true
  end
end
if some then
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100, '*', 'due', #ARGV)
end
return reply
