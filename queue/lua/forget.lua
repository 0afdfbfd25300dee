-- Takes a consumer's name out of the group if it holds nothing: the server would drop what it holds along with the name.
--
-- KEYS[1] log  ARGV[1] group  ARGV[2] consumer
-- Returns 1 where it was taken out
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then
  return 0
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
