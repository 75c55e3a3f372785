-- Adds to messages that stay. ARGV: 6 the header that the writer knows, 7 the next one, 8 chunks that stay,
-- 9 elements that there are once the others were pushed, if nothing is to be cut off before them, 10..
-- the others.
--
-- They go in before anything goes out: a server that is out of memory refuses a push, but only as long as
-- the script has written nothing.
local is_known = line == ARGV[6]
if is_known then
  if ARGV[10] and call('RPUSH', key, unpack(ARGV, 10)) ~= ARGV[9] + 0 then
    call('LTRIM', key, '0', ARGV[8])
    call('RPUSH', key, unpack(ARGV, 10))
  end
  call('LSET', key, '0', ARGV[7])
end
