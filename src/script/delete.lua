-- Deletes a memory if it is still the one that was read. ARGV: 1 its header line, 2 its birth ('': the
-- line says none).
-- Answers 1 deleted, 0 another memory (or none) is there now, -1 the memory has changed.
local line = redis.call('LINDEX', KEYS[1], 0)
if line and line == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
if line and (string.match(line, ' born=(%S+) ') or '') == ARGV[2] then
  return -1
end
-- It may be this deletion that is sent again, and is not on the replicas yet: see replayed.lua.
if line then
  redis.pcall('LSET', KEYS[1], '0', line)
else
  -- A key that comes and goes at once. Were the server to stop in between, it is gone a moment later.
  redis.pcall('SET', KEYS[1], '', 'PX', '1')
  redis.call('DEL', KEYS[1])
end
return 0
