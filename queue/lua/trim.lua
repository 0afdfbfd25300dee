-- Forgets the oldest entries of the log, in order, never past the first one that has not ended.
--
-- KEYS[1] log  KEYS[2] open
-- KEYS[2+n] for entry n: account index (the log where it has none), then every shelf
-- ARGV[n] entry id, oldest first, all older than the retention
-- Returns the count of entries forgotten
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local bound = first[2] and tonumber(first[2])
local last, forgotten = nil, {}
for n = 1, #ARGV do
  local id = ARGV[n]
  if bound and tonumber(string.match(id, '^%d+')) >= bound then
    break
  end
  if KEYS[2 + n] ~= KEYS[1] then
    redis.call('ZREM', KEYS[2 + n], id)
  end
  last, forgotten[n] = id, id
end
if last then
  local ms, seq = string.match(last, '^(%d+)-(%d+)$')
  for s = 3 + #ARGV, #KEYS do
    redis.call('ZREM', KEYS[s], unpack(forgotten))
    redis.call('ZREMRANGEBYSCORE', KEYS[s], '-inf', '(' .. ms) -- what the log lost otherwise
  end
  redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', seq + 1))
end
return #forgotten
