-- The same as replayed.lua, by the first letter of the fence.
if answer and answer[1] == 1 then
  redis.pcall('SETRANGE', fence, '0', 'r')
end
