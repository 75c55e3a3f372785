-- Deletes the document. Its fence stays for as long as this deletion may be sent again, so that a
-- late one does not delete what was written since.
if answer then
  return answer
end
if size == 0 then
  return { 0, 0, 0 }
end
redis.call('DEL', key)
local now = redis.call('TIME')[1]
redis.call('SET', fence, 'redember-fence:1 rev=0 count=0 lanes=' .. string.gsub(lanes, ';i[^;]*', '')
  .. ';' .. lane .. ':' .. token .. ':' .. rev .. ':1:' .. now + ARGV[4], 'PX', ARGV[4] * 1000)
return { 0, rev, 1 }
