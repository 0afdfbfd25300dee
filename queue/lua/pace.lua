-- Put before the scripts that take calls to Seam from the rate that all processes share.
--
-- The rate is a leaky bucket. What is in it is the life that is left of one key, so no clock is read and none compared:
-- each call adds its interval to that life, and time takes it away. interval and burst are in ms. With ahead the calls are
-- booked however full the bucket is, else only as many as can start now.
-- No more is booked ahead than every process of a large fleet has in hand: what is beyond that is the work of a clock that
-- was set back.
-- Returns how many calls were taken, and the ms until the first of them may start (negative: since then it might have).
local function take(rate, want, interval, burst, ahead)
  if want < 1 then
    return 0, 0
  end
  local filled = math.min(math.max(0, redis.call('PTTL', rate)), 30000 + 100 * interval)
  if not ahead then
    want = math.min(want, math.floor((burst - filled) / interval))
    if want < 1 then
      return 0, 0
    end
  end
  redis.call('SET', rate, 1, 'PX', math.ceil(filled + want * interval))
  return want, math.ceil(filled + interval - burst)
end
