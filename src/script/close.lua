-- The end of every write: remembers the lane, writes the header back, restarts the time to live.
local now = redis.call('TIME')[1]
if #lanes > 2048 and not known then
  -- Drop lanes whose time is over, then the oldest beyond 256.
  local kept, size = {}, 0
  for entry, until_ in string.gmatch(lanes, '(;[^;]+:(%d+))') do
    if tonumber(until_) >= tonumber(now) then
      size = size + 1
      kept[size] = entry
    end
  end
  lanes = table.concat(kept, '', math.max(1, size - 254))
end
rev = rev + 1
local header = 'redember:1 rev=' .. rev .. ' count=' .. count .. ' total=' .. total .. ' skip=' .. skip
  .. ' bytes=' .. bytes .. ' chunks=' .. chunks .. ' open=' .. run .. '/' .. run_bytes .. '/'
  .. run_messages .. ' born=' .. born .. ' lanes=' .. lanes .. ';' .. lane .. ':' .. token .. ':'
  .. rev .. ':' .. count .. ':' .. now + ARGV[4] .. rest
if line then
  redis.call('LSET', key, 0, header)
else
  redis.call('LPUSH', key, header)
end
if ARGV[1] == '0' then
  redis.call('PERSIST', key)
else
  redis.call('PEXPIRE', key, ARGV[1])
end
return { 0, rev, tonumber(count) }
