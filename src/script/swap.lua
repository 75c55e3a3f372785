-- Writes the header of a save, whose chunks are inserted behind it in the same transaction.
-- ARGV: 1 TTL in ms ('0': never expires), 2 the header that the writer knows ('': there is none), 3 the
-- next one.
--
-- What passes through a script is copied several times; what is inserted is not. The chunks go behind
-- this very header, so nothing is inserted where it was not written. Answers 0 written, 1 it was there
-- already, or the header that is there instead, or nothing.
local line = redis.call('LINDEX', KEYS[1], '0')
local answer = 0
if line == ARGV[3] then
  answer = 1 -- sent again: the chunks that come make it what it is
elseif ARGV[2] ~= (line or '') or line == '' then
  return line
end
if line then
  redis.call('LTRIM', KEYS[1], '0', '0')
  redis.call('LSET', KEYS[1], '0', ARGV[3])
else
  redis.call('RPUSH', KEYS[1], ARGV[3])
end
if ARGV[1] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return answer
