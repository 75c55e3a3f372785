-- Reads the header and just enough chunks from the tail to hold the last ARGV[1] messages.
local key, wanted = KEYS[1], tonumber(ARGV[1])
local header = redis.call('LINDEX', key, '0')
if not header then
  return {}
end
local chunks, run, messages = string.match(header, ' chunks=(%d+) open=(%d+)/%d+/(%d+) ')
if not chunks or wanted == 0 then
  return { header }
end
-- A chunk of the open run holds at least one message, and the whole run is under CHUNK_BYTES.
local last = tonumber(chunks)
local first = last + 1 - math.min(wanted, run)
local elements = first > last and {} or redis.call('LRANGE', key, first, last)
if #elements <= last - first then
  -- Less is stored than the header counts: the reader will notice.
  return { header }
end
wanted = wanted - messages
while wanted > 0 and first > 1 do
  first = first - 1
  local chunk = redis.call('LINDEX', key, first)
  if not chunk then
    return { header }
  end
  table.insert(elements, 1, chunk)
  local at = 0
  while at and wanted > 0 do
    wanted = wanted - 1
    at = string.find(chunk, '\n', at + 1, true)
  end
end
table.insert(elements, 1, header)
return elements
