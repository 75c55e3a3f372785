-- The end of every write: remembers the lane, writes the header back.
rev = rev + 1
local header = string.format(
  'redember:1 rev=%d count=%d total=%d skip=%d bytes=%d chunks=%d open=%d/%d/%d born=',
  rev, count, total, skip, bytes, chunks, run, run_bytes, run_messages
) .. born .. ' lanes=' .. lanes .. ';' .. lane .. ':' .. token
  .. string.format(':%d:%d:%d', rev, count, now + ARGV[4]) .. rest
if line then
  call('LSET', key, '0', header)
else
  call('LPUSH', key, header)
end
