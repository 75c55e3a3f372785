-- Reads what is known of a document, at one moment: {revision, bytes, time left, messages, document}.
-- ARGV: 1 '1' for the document itself. It comes, too, when nobody knows how many messages it has (-1).
local size = redis.call('STRLEN', KEYS[1])
if size == 0 then
  return redis.call('EXISTS', KEYS[1]) == 1 and redis.error_reply('FOREIGN the string is not a document') or {}
end
local rev = revision(size, redis.call('GETRANGE', KEYS[1], -1024, -1))
local seen_rev, count = string.match(redis.call('GET', KEYS[2]) or '', '^redember%-fence:1 rev=(%d+) count=(%d+) ')
local counted = tonumber(seen_rev) == rev
local answer = { rev, size, redis.call('PTTL', KEYS[1]), counted and tonumber(count) or -1 }
if not counted or ARGV[1] == '1' then
  answer[5] = redis.call('GET', KEYS[1])
end
return answer
