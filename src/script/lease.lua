-- Takes, extends or gives back a lease. ARGV: 1 the holder's token, 2 for how many ms ('0': back).
-- Answers 1 if the lease is, or was, the holder's; 0 if not. Sending it again is harmless.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
if ARGV[2] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
if holder then
  redis.call('DEL', KEYS[1])
  return 1
end
return 0
