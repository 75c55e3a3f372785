-- ARGV, before a push: 2 the header of an empty memory, which is made where there is none, for chunks to
-- be pushed to. Then the key has its time to live before there is anything else in it.
--
-- ARGV, after it: 6 the header that the writer knows, 7 the one that it has pushed before its chunks,
-- 8 where that lies, counted from the end. The old elements are what is before it.
local is_known
if #ARGV == 2 then
  if line then
    return 1
  end
  call('RPUSH', key, ARGV[2])
  is_known = true
elseif line == ARGV[6] and call('LINDEX', key, ARGV[8]) == ARGV[7] then
  call('LTRIM', key, ARGV[8], '-1')
  is_known = true
end
