-- Brings waiting entries whose time has come back in flight, held by this consumer.
--
-- KEYS[1] log  KEYS[2] due
-- ARGV[1] group  ARGV[2] consumer  ARGV[3] at most so many
-- Returns: ms until the next due time (-1 = nothing waits), then for each entry taken: id, its fields or false
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local reply = { -1 }
if tonumber(ARGV[3]) > 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[3])) do
    redis.call('ZREM', KEYS[2], id)
    local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'RETRYCOUNT', 1, 'FORCE')
    reply[#reply + 1] = id
    reply[#reply + 1] = claimed[1] and claimed[1][2] or false
  end
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if first[2] then
  reply[1] = math.max(0, first[2] - now)
end
return reply
