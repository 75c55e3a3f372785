-- Restarts the time to live. ARGV: 1 TTL in ms ('0': never expires). Answers 1, or 0 if absent.
-- A key that is not ours gets no time to live from us: that would delete somebody's data later.
local head = redis.call('GETRANGE', KEYS[1], 0, 63)
if head == '' and redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
if not string.find(head, '^%s*[%[n]') then
  return redis.error_reply('FOREIGN the string is not a document')
end
if ARGV[1] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1
