-- Reads the header, for replays and conflicts to be answered.
--
-- KEYS[1] the memory. ARGV: 1 TTL in ms ('0': never expires), 2 lane, 3 token, 4 seconds the lane is
-- remembered beside a document, 5 expected revision ('-1': any); from 6 on each script has its own.
-- Answers the header that it wrote; the number 0 if it wrote the one that came with it; or {status,
-- revision, count}: 0 applied (the header is a long one, or the memory is a document), 1 replayed,
-- 2 conflict, 3 stale, 4 reused, 5 nothing to pop, 6 what a save relies on is not there, 7 see
-- document_open.lua, 8 chunks are missing. Where `answer` is set at the end, nothing is to be written.
local lane, token = ARGV[2], ARGV[3]
local rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages, born, lanes, rest
local known, answer = false, nil
if line then
  local at, after
  rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages, born, at =
    string.match(line, '^redember:1 rev=(%d+) count=(%d+) total=(%d+) skip=(%d+) bytes=(%d+) '
      .. 'chunks=(%d+) open=(%d+)/(%d+)/(%d+) born=([!-~]+) lanes=()')
  -- A pattern would look at the lanes, of which there may be many, letter by letter.
  after = at and string.find(line, ' ', at, true) or #line + 1
  lanes, rest = string.sub(line, at or after, after - 1), string.sub(line, after)
  -- Lua counts in doubles: a number of more than 15 digits would be written back as another.
  if not rev or #rev > 15 or #count > 15 or #total > 15 or #skip > 15 or #bytes > 15
    or #chunks > 15 or #run > 15 or #run_bytes > 15 or #run_messages > 15 then
    answer = redis.error_reply('FOREIGN the list is not a redember memory of version 1')
  end
else
  rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages = 0, 0, 0, 0, 0, 0, 0, 0, 0
  born, lanes, rest = lane .. ':' .. token, '', ''
end
