-- Replaces all messages by at most 1000 chunks. ARGV: 11.. chunks. For the order see save.lua; the next
-- header comes with the chunks, so that one command takes the old elements away and puts it in front.
if is_known then
  call('RPUSH', key, ARGV[9], unpack(ARGV, 11))
  if line then
    call('LTRIM', key, 9 - #ARGV, '-1')
  end
end
