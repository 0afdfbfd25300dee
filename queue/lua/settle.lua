-- Ends work on entries: each leaves the group and is ended or waits, together with its record, its key's state and lock.
-- Only who holds the lease may settle: the lock bears the token, or, without a key, the entry is pending with the consumer.
-- The first entry that waits for a lock that is freed becomes due at once; the others stay noted in the lock.
--
-- KEYS[1] log  KEYS[2] open  KEYS[3] due  KEYS[4] names of all shelves
-- KEYS[5n..5n+4] for entry n: entry hash, lock, state, shelf that it leaves and shelf that it enters (the log = none)
-- ARGV[1] group  ARGV[2] consumer  ARGV[3] lifetime of an ended entry in ms  ARGV[4] lifetime of a state in ms
-- ARGV[5] lease in ms
-- then for each entry: id, lock token ("" = no key), kind ("end", "wait", "gone"), delay in ms, state ("" = keep),
--   name of the shelf it enters ("" = known already), count of record fields, then that many names and values;
--   "gone" ends an entry that the log no longer holds
-- Returns for each entry: "1" settled, "2" settled and an entry that waited for its lock is due, "0" the lease was lost
-- and nothing was changed
local now
local function time()
  if not now then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return now
end

-- Answers the entries that wait for the lock, false where it is not ours.
local function unlock(lock, token)
  local value = redis.call('GETDEL', lock)
  if value == token then
    return ''
  end
  if value and string.sub(value, 1, #token + 1) == token .. '|' then
    return string.sub(value, #token + 1)
  end
  if value then
    redis.call('SET', lock, value, 'PX', ARGV[5]) -- another's: its lease is whole again, which only its rescue would feel
  end
  return false
end

-- Makes the first of the entries due that still waits.
local function call(lock, waiting)
  for id, others in string.gmatch(waiting, '()|[^|]+()') do
    local entry = string.sub(waiting, id + 1, others - 1)
    if redis.call('ZADD', KEYS[3], 'XX', 'CH', time(), entry) == 1 then
      if others <= #waiting then
        redis.call('SET', lock, string.sub(waiting, others), 'PX', 5000)
      end
      return '2'
    end
  end
  return '1'
end

local log, open, due = KEYS[1], KEYS[2], KEYS[3]
local ended, shelved = {}, {} -- ids that leave open; arrivals and ids that enter each shelf: one command each, at the end
local reply = {}
local a, n = 6, 1
while a <= #ARGV do
  local entry, lock, state, from, to = KEYS[5 * n], KEYS[5 * n + 1], KEYS[5 * n + 2], KEYS[5 * n + 3], KEYS[5 * n + 4]
  local id, token, kind, delay, memory = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local announced, count = ARGV[a + 5], tonumber(ARGV[a + 6])
  local fields = {}
  for f = 1, count do
    fields[f] = ARGV[a + 6 + f]
  end
  if announced ~= '' then
    redis.call('SADD', KEYS[4], announced)
  end
  local ours
  local waiting = ''
  if token ~= '' then
    waiting = unlock(lock, token)
    ours = waiting
  else
    ours = kind == 'gone' or #redis.call('XPENDING', log, ARGV[1], id, id, 1, ARGV[2]) == 1
  end
  if ours then
    ours = redis.call('XACK', log, ARGV[1], id) == 1 or kind == 'gone'
  end
  if ours then
    redis.call('HSET', entry, unpack(fields))
    if kind == 'wait' then
      redis.call('ZADD', due, time() + delay, id)
    else
      redis.call('PEXPIRE', entry, ARGV[3])
      ended[#ended + 1] = id
    end
    if from ~= log then
      redis.call('ZREM', from, id)
    end
    if to ~= log then
      local shelf = shelved[to] or {}
      shelved[to] = shelf
      shelf[#shelf + 1] = string.match(id, '^%d+')
      shelf[#shelf + 1] = id
    end
    if memory ~= '' then
      redis.call('SET', state, memory, 'PX', ARGV[4])
    end
    reply[n] = waiting == '' and '1' or call(lock, waiting)
  else
    reply[n] = redis.call('HGET', entry, 'settled_by') == fields[2] and '1' or '0' -- our own call, whose reply was lost
  end
  a, n = a + 7 + count, n + 1
end
if #ended > 0 then
  redis.call('ZREM', open, unpack(ended))
end
for shelf, entries in pairs(shelved) do
  redis.call('ZADD', shelf, unpack(entries))
end
return reply
