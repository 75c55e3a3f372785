-- Replaces all messages by those that were pushed behind them just before: a header, and the chunks
-- that it counts. ARGV: 6 to 8 see commit_known.lua.
--
-- What passes through a script is copied several times; what is pushed is not. Until the old elements
-- are cut off nobody reads the new ones, so whatever goes wrong in between, the memory is what it was.
local pushed = call('LINDEX', key, ARGV[8])
if pushed ~= ARGV[7] or call('LLEN', key) <= -ARGV[8] then
  -- There was no memory to push to, another write has cut it off, or this one was committed before.
  return answer or { 6, 0, 0 }
end
if answer then
  call('LTRIM', key, '0', ARGV[8] - 1)
  return answer
end
-- One command takes the old elements away and puts the pushed header in front, which says all of the
-- messages; the end of the script writes what else there is to say.
call('LTRIM', key, ARGV[8], '-1')
count, total, skip, bytes, chunks, run, run_bytes, run_messages = string.match(
  pushed, ' count=(%d+) total=(%d+) skip=(%d+) bytes=(%d+) chunks=(%d+) open=(%d+)/(%d+)/(%d+) ')
