-- Replaces all messages by chunks that were pushed in the same transaction, with a marker after them.
-- ARGV: 6 messages, 7 messages in the last chunk, 8 chunks, 9 their bytes, 10 bytes of the last chunk,
-- 11 the marker.
--
-- What passes through a script is copied several times; what is pushed is not. The chunks count only
-- when the header says so, so whatever goes wrong in between, no reader sees them.
if call('LINDEX', key, '-1') ~= ARGV[11] then
  -- There was no memory to push to, or another write has cut the chunks off.
  return { 6, 0, 0 }
end
local staged = tonumber(ARGV[8])
call('RPOP', key)
if answer or call('LLEN', key) ~= chunks + 1 + staged then
  call('LTRIM', key, '0', -staged - 1)
  return answer or { 6, 0, 0 }
end
call('LTRIM', key, -staged, '-1')
line = nil -- the header went with the old chunks; the end of the script puts one in front
count, total, skip, bytes, chunks = ARGV[6], ARGV[6], 0, ARGV[9], staged
run, run_bytes, run_messages = 0, 0, 0
if tonumber(ARGV[10]) < CHUNK_BYTES then
  run, run_bytes, run_messages = 1, ARGV[10], ARGV[7]
end
