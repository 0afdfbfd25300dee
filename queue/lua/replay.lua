-- Puts ended entries back to work: same id, no second copy of a payload, attempts start anew.
--
-- KEYS[1] log  KEYS[2] open  KEYS[3] due  KEYS[4] wake
-- KEYS[4+n] for entry n: entry hash, then every shelf
-- ARGV[n] entry id
-- Returns for each entry: "1" replayed, "0" it has not ended, "-1" the log no longer holds it
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local reply, replayed = {}, {}
for n = 1, #ARGV do
  local id, entry = ARGV[n], KEYS[4 + n]
  if redis.call('ZSCORE', KEYS[2], id) then
    reply[n] = '0'
  elseif #redis.call('XRANGE', KEYS[1], id, id) == 0 then
    reply[n] = '-1'
  else
    redis.call('HSET', entry, 'status', 'queued', 'attempts', 0, 'replays', (redis.call('HGET', entry, 'replays') or 0) + 1)
    redis.call('HDEL', entry, 'first_failed_at', 'settled_by', 'reason', 'error', 'ended_at', 'result')
    redis.call('PERSIST', entry)
    redis.call('ZADD', KEYS[2], string.match(id, '^%d+'), id)
    redis.call('ZADD', KEYS[3], now, id)
    reply[n], replayed[#replayed + 1] = '1', id
  end
end
if #replayed > 0 then
  for s = 5 + #ARGV, #KEYS do
    redis.call('ZREM', KEYS[s], unpack(replayed))
  end
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100, '*', 'due', #replayed)
end
return reply
