-- Deletes a memory if it is still the one the caller read. ARGV: 1 its birth, 2 its revision.
-- Answers 1 deleted, 0 another memory (or none) is there now, -1 the memory has changed.
local line = redis.call('LINDEX', KEYS[1], 0)
if not line then
  return 0
end
local revision, born = string.match(line, '^redember:1 rev=(%d+) .- born=(%S+) ')
if born ~= ARGV[1] then
  return 0
end
if revision ~= ARGV[2] then
  return -1
end
return redis.call('DEL', KEYS[1])
