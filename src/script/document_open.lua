-- The beginning of every write to a document: reads its end and its fence.
--
-- KEYS[1] the document, KEYS[2] its fence, a key beside it that holds what the document has no room
-- for: its revision and count when a redember last wrote it, and the lanes of those writes.
-- ARGV 1 to 5 and the answers are those of open.lua; 7 not counted: nobody knows how many messages
-- there are, so the caller has to read the document first.
local key, fence, lane, token = KEYS[1], KEYS[2], ARGV[2], ARGV[3]
-- A key of another type ends the script here, unwritten.
local size = redis.call('STRLEN', key)
local tail = redis.call('GETRANGE', key, -1024, -1)
local rev, count, lanes = 0, 0, ''
local known, answer, counted = false, nil, nil
local seen_rev, seen_count, seen_lanes =
  string.match(redis.call('GET', fence) or '', '^redember%-fence:1 rev=(%d+) count=(%d+) lanes=(%S*)$')
lanes = seen_lanes or ''
if size > 0 then
  rev = revision(size, tail)
  if tonumber(seen_rev) == rev then
    counted = tonumber(seen_count)
    count = counted
  end
  if string.find(redis.call('GETRANGE', key, 0, 63), '^%s*[^%s%[n]') then
    answer = redis.error_reply('FOREIGN the string is not a document')
  end
elseif redis.call('EXISTS', key) == 1 then
  answer = redis.error_reply('FOREIGN the string is not a document')
else
  -- Keys of callers are forgotten with the memory. Lanes are not: a write may still be on its way.
  lanes = string.gsub(lanes, ';i[^;]*', '')
end
