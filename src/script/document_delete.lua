-- Deletes the document. Its fence stays for as long as this deletion may be sent again, so that a
-- late one does not delete what was written since; also where there was nothing to delete.
if answer then
  return answer
end
-- A server that is out of memory refuses the fence, but only as long as the script has written nothing.
redis.call('DEL', key)
local deleted = size > 0 and 1 or 0
local now = redis.call('TIME')[1]
redis.call('SET', fence, 'redember-fence:1 rev=0 count=0 lanes=' .. string.gsub(lanes, ';i[^;]*', '')
  .. ';' .. lane .. ':' .. token .. ':' .. rev .. ':' .. deleted .. ':' .. now + ARGV[4], 'PX', ARGV[4] * 1000)
return { 0, rev, deleted }
