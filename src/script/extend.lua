-- Adds to messages that stay. ARGV: 6 the header that the writer knows, 7 the next one, 8 chunks that the
-- known one counts, 9 how many of them stay, 10.. the chunks that follow those.
--
-- They go in before anything goes out: a server that is out of memory refuses a push, but only as long as
-- the script has written nothing. How long the list then is says what is wrong with it: a memory that lacks
-- chunks is not added to, and what was never committed is cut off.
local is_known = line == ARGV[6]
if is_known then
  local added = #ARGV - 9
  local length = added > 0 and call('RPUSH', key, unpack(ARGV, 10)) or call('LLEN', key)
  local more = length - ARGV[8] - 1 - added
  if more < 0 then
    if added > 0 then
      call('LTRIM', key, '0', -1 - added)
    end
    is_known = false
  else
    if added > 0 and (more > 0 or ARGV[8] ~= ARGV[9]) then
      call('LTRIM', key, '0', ARGV[9])
      call('RPUSH', key, unpack(ARGV, 10))
    end
    call('LSET', key, '0', ARGV[7])
  end
end
