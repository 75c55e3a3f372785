-- The end of every write: remembers the lane, writes the header back.
rev = rev + 1
-- To ask for the time costs as much as a push: a lane gets its time when lanes are pruned. In one piece:
-- Lua hashes each string that it makes, and with many lanes this is a long one.
local header = string.format(
  'redember:1 rev=%d count=%d total=%d skip=%d bytes=%d chunks=%d open=%d/%d/%d born=',
  rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages
) .. born .. ' lanes=' .. lanes .. ';' .. lane .. ':' .. token .. string.format(':%d:%d', rev, count)
  .. rest
if line then
  call('LSET', key, '0', header)
else
  call('LPUSH', key, header)
end
