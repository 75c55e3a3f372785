-- The end of every write: remembers the lane, writes the header back.
rev = rev + 1
local header = string.format(
  'redember:1 rev=%d count=%d total=%d skip=%d bytes=%d chunks=%d open=%d/%d/%d born=',
  rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages
) .. born .. ' lanes=' .. lanes .. ';' .. lane .. ':' .. token .. string.format(':%d:%d', rev, count)
-- To ask for the time costs as much as a push: a writer's lane gets its time when lanes are pruned.
if string.sub(lane, 1, 1) == 'i' then
  header = header .. string.format(':%d', (now or call('TIME')[1]) + ARGV[4])
end
header = header .. rest
if line then
  call('LSET', key, '0', header)
else
  call('LPUSH', key, header)
end
