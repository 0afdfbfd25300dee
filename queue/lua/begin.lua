-- Starts work on entries that this consumer holds: takes the lock of each entry's key and reads the key's state.
-- An entry whose key is locked by another goes to wait instead: it is in one place at any time.
--
-- KEYS[1] log  KEYS[2] due
-- KEYS[3n..3n+2] for entry n: entry hash, lock, state (the log where the entry has no key)
-- ARGV[1] group  ARGV[2] lease in ms  ARGV[3] wait for a locked key in ms
-- then for each entry: id, lock token ("" = no key), "1" to read the entry's record
-- Returns for each entry: "1" begun or "0" waiting, state or false, record as a flat list or false
local reply = {}
for n = 1, (#ARGV - 3) / 3 do
  local entry, lock, state = KEYS[3 * n], KEYS[3 * n + 1], KEYS[3 * n + 2]
  local a = 4 + (n - 1) * 3
  local id, token = ARGV[a], ARGV[a + 1]
  local held = token == '' or redis.call('SET', lock, token, 'NX', 'PX', ARGV[2])
    or redis.call('GET', lock) == token -- our own call, whose reply was lost
  if held then
    reply[#reply + 1] = '1'
    reply[#reply + 1] = token ~= '' and redis.call('GET', state)
    reply[#reply + 1] = ARGV[a + 2] == '1' and redis.call('HGETALL', entry)
  else
    local now = redis.call('TIME')
    redis.call('XACK', KEYS[1], ARGV[1], id)
    redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3], id)
    reply[#reply + 1] = '0'
    reply[#reply + 1] = false
    reply[#reply + 1] = false
  end
end
return reply
