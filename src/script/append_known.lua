-- The usual append: the header still is as its writer knows it, who has made the next one. So the
-- script need not take a header apart, which is the larger part of its work.
--
-- ARGV: 8 the known header ('': there is none), 9 the next one ('': the script has to make it),
-- 10 elements that there are then, 11 the chunk. Answers 0. A header names the write that made it last,
-- so one that is the same stands for the same messages.
if ARGV[9] ~= '' and ARGV[8] == (line or '') and line ~= '' then
  local length
  if line then
    length = call('RPUSH', key, ARGV[11])
  else
    length = call('RPUSH', key, ARGV[9], ARGV[11])
  end
  -- Otherwise there are chunks that were never committed, which the rest of the script cuts off.
  if length == ARGV[10] + 0 then
    if line then
      call('LSET', key, '0', ARGV[9])
    end
    if ARGV[1] == '0' then
      call('PERSIST', key)
    else
      call('PEXPIRE', key, ARGV[1])
    end
    return 0
  end
  call('LTRIM', key, '0', '-2')
end
