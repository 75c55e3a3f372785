-- Replaces all messages. ARGV: 6 messages, 7 messages in the last chunk, 8 to 10 see
-- known.lua, 11.. chunks.
--
-- The new chunks go in before the old ones go out: a server that is out of memory refuses a push, but
-- only as long as the script has written nothing.
if answer then
  return answer
end
count, total, skip, bytes, chunks = ARGV[6], ARGV[6], 0, 0, #ARGV - 10
-- A thousand at a time: Lua's stack takes no more than about 8000.
for from = 11, #ARGV, 1000 do
  call('RPUSH', key, unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
for at = 11, #ARGV do
  bytes = bytes + #ARGV[at] + 1
end
if line and chunks == 0 then
  call('LTRIM', key, '0', '0')
elseif line then
  call('LTRIM', key, -chunks, '-1')
  line = nil -- the header went with the old chunks; the end of the script puts one in front
end
run, run_bytes, run_messages = 0, 0, 0
if chunks > 0 and #ARGV[#ARGV] + 1 < CHUNK_BYTES then
  run, run_bytes, run_messages = 1, #ARGV[#ARGV] + 1, ARGV[7]
end
