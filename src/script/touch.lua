-- Answers 1, or 0 if there is no such key, before the time to live is restarted: a key that is not
-- ours gets none from us, as that would delete somebody's data later.
local line = redis.call('LINDEX', KEYS[1], 0)
if not line then
  return 0
end
if not string.find(line, '^redember:%d+ ') then
  return redis.error_reply('FOREIGN the list is not a redember memory')
end
