-- Takes the last message away. ARGV: 8 bytes to keep, 9 what closes the array after them.
if size == 0 or not counted or counted == 0 then
  return { 2, rev, 0 }
end
redis.call('SET', key, (ARGV[8] == '0' and '' or redis.call('GETRANGE', key, 0, ARGV[8] - 1)) .. ARGV[9])
count = counted - 1
