-- The usual save: the header still is as its writer knows it, who has made the next one.
--
-- ARGV: 8 the known header ('': there is none), 9 the next one ('': the script has to make it), 11.. chunks,
-- at most 1000. Answers 0. See append_known.lua for why, and save.lua for the order.
if ARGV[9] ~= '' and ARGV[8] == (line or '') and line ~= '' then
  call('RPUSH', key, unpack(ARGV, 11))
  if line then
    call('LTRIM', key, 10 - #ARGV, '-1')
  end
  call('LPUSH', key, ARGV[9])
  if ARGV[1] == '0' then
    call('PERSIST', key)
  else
    call('PEXPIRE', key, ARGV[1])
  end
  return 0
end
