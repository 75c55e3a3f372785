-- Appends one chunk. ARGV: 10 elements that there are then, 11 the chunk.
if is_known then
  local length
  if line then
    length = call('RPUSH', key, ARGV[11])
  else
    length = call('RPUSH', key, ARGV[9], ARGV[11])
  end
  if length ~= ARGV[10] + 0 then
    -- There are chunks that were never committed, or chunks are missing: the rest of the script says which.
    call('LTRIM', key, '0', '-2')
    is_known = false
  elseif line then
    call('LSET', key, '0', ARGV[9])
  end
end
