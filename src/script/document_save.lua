-- Replaces the whole document. ARGV: 6 messages, 7 the document.
if answer then
  return answer
end
redis.call('SET', key, ARGV[7])
count = ARGV[6]
