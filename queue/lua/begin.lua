-- Starts work on entries that this consumer holds: takes the lock of each entry's key and reads the key's state.
-- An entry whose key is locked by another goes to wait instead: it is in one place at any time. It leaves its id in the
-- lock, so that the settle that frees the lock makes it due at once.
-- A lock is the token of who holds it, then the ids of those who wait for it, each after a "|"; without a token it is free.
--
-- KEYS[1] log  KEYS[2] due  KEYS[3] hold  KEYS[4] rate
-- KEYS[2+3n..4+3n] for entry n: entry hash, lock, state (the log where the entry has no key)
-- ARGV[1] group  ARGV[2] lease in ms  ARGV[3] wait for a locked key in ms, should nobody make it due before
-- ARGV[4] calls to Seam wanted  ARGV[5] their interval in ms  ARGV[6] their burst in ms
-- then for each entry: id, lock token ("" = no key), "1" to read the entry's record
-- Returns ms that all calls are held back (0: they are not), calls taken, ms until the first of them may start;
-- then for each entry: "1" begun or "0" waiting, state or false, record as a flat list or false
local now
local function wait(id, ms)
  if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  redis.call('XACK', KEYS[1], ARGV[1], id)
  redis.call('ZADD', KEYS[2], now + ms, id)
end

local function contend(lock, token, id)
  local value = redis.call('GET', lock)
  if value == token or string.sub(value, 1, #token + 1) == token .. '|' then
    return true -- our own call, whose reply was lost
  end
  if string.sub(value, 1, 1) == '|' then
    local others = string.gsub(value .. '|', '|' .. string.gsub(id, '-', '%%-') .. '|', '|', 1)
    redis.call('SET', lock, token .. string.sub(others, 1, -2), 'PX', ARGV[2])
    return true
  end
  if redis.call('PTTL', lock) > tonumber(ARGV[2]) then
    redis.call('PEXPIRE', lock, ARGV[2]) -- the server's clock was set back: no lock lasts longer than a lease
  end
  if #value < 4096 and not string.find(value, '|' .. id, 1, true) then
    redis.call('APPEND', lock, '|' .. id)
  end
  return false
end

local held, asked = {}, { KEYS[3] }
for n = 1, (#ARGV - 6) / 3 do
  local lock, id, token = KEYS[3 + 3 * n], ARGV[4 + 3 * n], ARGV[5 + 3 * n]
  held[n] = token == '' or redis.call('SET', lock, token, 'NX', 'PX', ARGV[2]) and true or contend(lock, token, id)
  if not held[n] then
    wait(id, ARGV[3])
  elseif token ~= '' then
    asked[#asked + 1] = KEYS[4 + 3 * n]
  end
end
local states = redis.call('MGET', unpack(asked))
local reply = { states[1] and redis.call('PTTL', KEYS[3]) or 0, take(KEYS[4], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), false) }
local s = 1
for n = 1, #held do
  reply[1 + 3 * n] = held[n] and '1' or '0'
  reply[2 + 3 * n] = false
  if held[n] and ARGV[5 + 3 * n] ~= '' then
    s = s + 1
    reply[2 + 3 * n] = states[s]
  end
  reply[3 + 3 * n] = held[n] and ARGV[6 + 3 * n] == '1' and redis.call('HGETALL', KEYS[2 + 3 * n])
end
return reply
