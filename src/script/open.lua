-- The beginning of every write: reads the header, answers replays and conflicts.
--
-- KEYS[1] the memory. ARGV: 1 TTL in ms ('0': never expires), 2 lane, 3 token, 4 seconds the lane is
-- remembered, 5 expected revision ('-1': any); from 6 on each script has its own.
-- Answers {status, revision, count}: 0 applied, 1 replayed, 2 conflict, 3 stale, 4 reused, 5 absent,
-- 6 not staged. Where `answer` is set at the end, nothing is to be written.
--
-- Straight-line code on numeric strings, no functions and no tables: it runs on every write, and a
-- server runs one script at a time. Numbers cost when they become text, so a constant argument of a
-- command is text, and the header is printed by one `%d` for each number.
local call, key, lane, token = redis.call, KEYS[1], ARGV[2], ARGV[3]
-- A key of another type ends the script here, unwritten.
local line = call('LINDEX', key, '0')
local rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages, born, lanes, rest
local known, answer = false, nil
if line then
  rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages, born, lanes, rest =
    string.match(line, '^redember:1 rev=(%d+) count=(%d+) total=(%d+) skip=(%d+) bytes=(%d+) '
      .. 'chunks=(%d+) open=(%d+)/(%d+)/(%d+) born=(%S+) lanes=(%S*)(.*)$')
  -- Lua counts in doubles: a number of more than 15 digits would be written back as another.
  if not rev or #rev > 15 or #count > 15 or #total > 15 or #skip > 15 or #bytes > 15
    or #chunks > 15 or #run > 15 or #run_bytes > 15 or #run_messages > 15 then
    answer = redis.error_reply('FOREIGN the list is not a redember memory of version 1')
  end
else
  rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages = 0, 0, 0, 0, 0, 0, 0, 0, 0
  born, lanes, rest = lane .. ':' .. token, '', ''
end
