-- The end of every write: remembers the lane, writes the header back.
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
