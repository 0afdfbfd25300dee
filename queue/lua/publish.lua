-- Accepts messages: for each, an entry in the log and its marks, or the entry that already bears its id.
--
-- KEYS[1] log  KEYS[2] open
-- KEYS[3n..3n+2] for message n: seen mark, event mark, account index (the log where the message has none)
-- ARGV[1] lifetime of the marks in ms
-- then for each message: unique ("" or "event"), message_id, event_id, type, workspace, key, webview, received_at (ms), body, trace
-- Returns for each message: entry id, "1" where it was known before
local log, open, ttl = KEYS[1], KEYS[2], ARGV[1]
local marks, opened, reply = {}, {}, {}
for n = 1, (#ARGV - 1) / 10 do
  marks[n] = KEYS[3 * n]
end
local known = redis.call('MGET', unpack(marks))
local fresh = {} -- marks set by this call: one batch may hold an id twice
for n = 1, #marks do
  local seen, event, account = marks[n], KEYS[3 * n + 1], KEYS[3 * n + 2]
  local a = 2 + (n - 1) * 10
  local event_id, key = ARGV[a + 2], ARGV[a + 5]
  local id = known[n] or fresh[seen]
  if not id and ARGV[a] == 'event' and event_id ~= '' then
    id = redis.call('GET', event)
  end
  if id then
    reply[#reply + 1] = id
    reply[#reply + 1] = '1'
  else
    id = redis.call('XADD', log, '*', 'message_id', ARGV[a + 1], 'event_id', event_id, 'type', ARGV[a + 3],
      'workspace', ARGV[a + 4], 'key', key, 'webview', ARGV[a + 6], 'received_at', ARGV[a + 7], 'body', ARGV[a + 8],
      'trace', ARGV[a + 9])
    local arrival = string.match(id, '^%d+')
    fresh[seen] = id
    redis.call('SET', seen, id, 'PX', ttl)
    if event_id ~= '' then
      redis.call('SET', event, id, 'PX', ttl)
    end
    if key ~= '' then
      redis.call('ZADD', account, arrival, id)
    end
    opened[#opened + 1] = arrival
    opened[#opened + 1] = id
    reply[#reply + 1] = id
    reply[#reply + 1] = '0'
  end
end
if #opened > 0 then
  redis.call('ZADD', open, unpack(opened))
end
return reply
