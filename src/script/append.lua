-- Appends messages. ARGV: 6 messages, 7 messages in the last chunk, 8.. chunks.
--
-- Small chunks gather in an open run at the tail; 32 of them, or CHUNK_BYTES, are folded into one.
local added = #ARGV - 7
local size = added > 0 and #ARGV[#ARGV] + 1 or 0
local small = added == 1 and size < CHUNK_BYTES
if small then
  redis.call('RPUSH', key, ARGV[8])
  bytes, chunks = bytes + size, chunks + 1
  run, run_bytes, run_messages = run + 1, run_bytes + size, run_messages + ARGV[6]
end
-- Large chunks end the run before them.
if added > 0 and run + 0 > 1 and (not small or run >= FOLD_CHUNKS or run_bytes >= CHUNK_BYTES) then
  local folded = redis.call('LRANGE', key, -run, -1)
  -- Counted from the head: a server that died while it wrote to its append-only file may begin again
  -- with half of a script's commands, and has a chunk more than the header knows. This cuts it off.
  redis.call('LTRIM', key, 0, chunks - run)
  redis.call('RPUSH', key, table.concat(folded, '\n'))
  chunks, run = chunks - run + 1, 1
end
if added > 0 and (not small or run_bytes >= CHUNK_BYTES) then
  run, run_bytes, run_messages = 0, 0, 0
end
if added > 0 and not small then
  -- A thousand at a time: Lua's stack takes no more than about 8000.
  for from = 8, #ARGV, 1000 do
    redis.call('RPUSH', key, unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
  for at = 8, #ARGV do
    bytes = bytes + #ARGV[at] + 1
  end
  chunks = chunks + added
  if size < CHUNK_BYTES then
    run, run_bytes, run_messages = 1, size, ARGV[7]
  end
end
count, total = count + ARGV[6], total + ARGV[6]
