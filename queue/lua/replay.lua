-- Puts ended entries back to work: same id, no second copy of a payload, attempts start anew.
--
-- KEYS[1] log  KEYS[2] open  KEYS[3] due  KEYS[4] wake  KEYS[5] progress of the run (the log: nobody asked to keep one)
-- KEYS[5+n] for entry n: entry hash, then every shelf
-- ARGV[1] progress so far ("" = none)  ARGV[2] progress after ("" = the run is at its end)  ARGV[3] its lifetime in ms
-- ARGV[3+n] entry id
-- Returns false where the progress is another one: somebody else goes on with this run;
-- else for each entry: "1" replayed, "0" it has not ended, "-1" the log no longer holds it
local progress = KEYS[5] ~= KEYS[1] and (redis.call('GET', KEYS[5]) or '') or ARGV[1]
local reply, replayed = {}, {}
if progress ~= ARGV[1] then
  for n = 1, #ARGV - 3 do
    reply[n] = '1'
  end
  return progress ~= '' and progress == ARGV[2] and reply -- our own call, whose reply was lost
end
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
for n = 1, #ARGV - 3 do
  local id, entry = ARGV[3 + n], KEYS[5 + n]
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
  for s = 6 + #ARGV - 3, #KEYS do
    redis.call('ZREM', KEYS[s], unpack(replayed))
  end
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', 100, '*', 'due', #replayed)
end
if KEYS[5] ~= KEYS[1] and ARGV[2] ~= '' then
  redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[3])
elseif KEYS[5] ~= KEYS[1] then
  redis.call('DEL', KEYS[5])
end
return reply
