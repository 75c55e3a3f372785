-- Reads the header and the time left, at one moment.
local header = redis.call('LINDEX', KEYS[1], 0)
if not header then
  return {}
end
return { header, redis.call('PTTL', KEYS[1]) }
