-- Answers 1, or 0 if there is no such key, before the time to live is restarted: a key that is not
-- ours gets none from us, as that would delete somebody's data later.
local head = redis.call('GETRANGE', KEYS[1], 0, 63)
if head == '' and redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
if not string.find(head, '^%s*[%[n]') then
  return redis.error_reply('FOREIGN the string is not a document')
end
