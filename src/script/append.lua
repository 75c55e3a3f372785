-- Appends messages. ARGV: 6 messages, 7 messages in the last chunk, 8 to 10 see
-- known.lua and append_known.lua, 11.. chunks.
--
-- Small chunks gather in an open run at the tail, which ends when it has 32 of them or the next one
-- would fill it to CHUNK_BYTES.
if answer then
  return answer
end
local added = #ARGV - 10
local size = added > 0 and #ARGV[#ARGV] + 1 or 0
local small = added == 1 and size < CHUNK_BYTES
-- How long the list is says whether there are chunks that were never committed: they are cut off. The
-- usual append learns it from its push, and pushes again behind the cut if it has to. A memory that lacks
-- chunks is left as it was: a run that is folded then would take others along.
local length = small and call('RPUSH', key, ARGV[11]) - 1 or line and call('LLEN', key)
if line and length < chunks + 1 then
  if small then
    call('LTRIM', key, '0', '-2')
  end
  return { 8, tonumber(rev), tonumber(count) }
end
if line and length > chunks + 1 then
  call('LTRIM', key, '0', chunks)
  if small then
    call('RPUSH', key, ARGV[11])
  end
end
if added > 0 and (not small or run + 0 >= FOLD_CHUNKS or run_bytes + size >= CHUNK_BYTES) then
  -- The run ends, and is folded into one chunk if its chunks are small: Lua hashes every byte of every
  -- string it makes, so what is folded costs the server more than all the rest.
  if run + 0 > 1 and run_bytes / run < SMALL_BYTES then
    local pushed = small and 1 or 0
    local folded = table.concat(call('LRANGE', key, -run - pushed, -1 - pushed), '\n')
    -- Counted from the head: a server that died while it wrote to its append-only file may begin again
    -- with half of a script's commands, and has a chunk more than the header knows. This cuts it off.
    call('LTRIM', key, '0', chunks - run)
    if small then
      call('RPUSH', key, folded, ARGV[11])
    else
      call('RPUSH', key, folded)
    end
    chunks, run = chunks - run + 1, 1
  end
  -- What is half full is not folded again.
  if not small or run_bytes + size >= CHUNK_BYTES / 2 then
    run, run_bytes, run_messages = 0, 0, 0
  end
end
if small then
  bytes, chunks = bytes + size, chunks + 1
  run, run_bytes, run_messages = run + 1, run_bytes + size, run_messages + ARGV[6]
elseif added > 0 then
  -- A thousand at a time: Lua's stack takes no more than about 8000.
  for from = 11, #ARGV, 1000 do
    call('RPUSH', key, unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
  for at = 11, #ARGV do
    bytes = bytes + #ARGV[at] + 1
  end
  chunks = chunks + added
  if size < CHUNK_BYTES then
    run, run_bytes, run_messages = 1, size, ARGV[7]
  end
end
count, total = count + ARGV[6], total + ARGV[6]
