-- Takes the last message away. The caller has read it: ARGV 5 is the revision it was read at.
-- ARGV: 6 bytes of the message with its separator, 7 what is left of the last chunk ('' nothing),
-- 8 the birth of the memory that was read: one made anew may have come to the same revision.
if answer then
  return answer
end
if born ~= ARGV[8] then
  return { 2, tonumber(rev), tonumber(count) }
end
if count + 0 == 0 then
  return { 5, tonumber(rev), 0 }
end
local length = call('LLEN', key)
if length < chunks + 1 then
  return { 8, tonumber(rev), tonumber(count) }
end
if length > chunks + 1 then
  call('LTRIM', key, '0', chunks) -- what was never committed
end
if ARGV[7] == '' then
  call('RPOP', key)
  chunks = chunks - 1
else
  call('LSET', key, '-1', ARGV[7])
end
count, total, bytes = count - 1, total - 1, bytes - ARGV[6]
if run + 0 > 0 then
  run_bytes, run_messages = run_bytes - ARGV[6], run_messages - 1
  if ARGV[7] == '' then
    run = run - 1
  end
end
