-- Replaces all messages by at most 1000 chunks. ARGV: 11.. chunks. For the order see save.lua.
if is_known and line then
  call('RPUSH', key, unpack(ARGV, 11))
  call('LTRIM', key, 10 - #ARGV, '-1')
  call('LPUSH', key, ARGV[9])
elseif is_known then
  call('RPUSH', key, ARGV[9], unpack(ARGV, 11))
end
