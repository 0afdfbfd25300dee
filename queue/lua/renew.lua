-- Extends the leases that this consumer still holds.
--
-- KEYS[1] log  KEYS[2..] for each entry: lock (the log where it has none)
-- ARGV[1] group  ARGV[2] consumer  ARGV[3] lease in ms, then for each entry: id, lock token ("" = no key)
-- Returns for each entry: "1" extended, "0" lost
local reply = {}
for n = 1, #KEYS - 1 do
  local id, token = ARGV[2 + 2 * n], ARGV[3 + 2 * n]
  local held = #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1, ARGV[2]) == 1
  if held and token ~= '' then
    local value = redis.call('GET', KEYS[n + 1])
    held = value == token or value and string.sub(value, 1, #token + 1) == token .. '|' -- and who waits for it
  end
  if held then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, id, 'JUSTID')
    if token ~= '' then
      redis.call('PEXPIRE', KEYS[n + 1], ARGV[3])
    end
  end
  reply[n] = held and '1' or '0'
end
return reply
