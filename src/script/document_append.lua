-- Appends messages. ARGV: 8 messages, 9 their elements, a comma between two of them.
--
-- Written over the closing bracket, so it costs the same however long the document is.
if size == 0 then
  redis.call('SET', key, '[' .. ARGV[9] .. ']')
  counted = 0
elseif not counted then
  return { 7, rev, 0 }
elseif counted == 0 then
  redis.call('SET', key, '[' .. ARGV[9] .. ']')
elseif ARGV[9] ~= '' then
  local at = string.find(tail, '%]%s*$')
  if not at then
    -- A kilobyte of white space behind the bracket: nobody writes that, but it can be read.
    tail = redis.call('GET', key)
    at = string.find(tail, '%]%s*$')
  end
  redis.call('SETRANGE', key, size - #tail + at - 1, ',' .. ARGV[9] .. ']')
end
count = counted + ARGV[8]
