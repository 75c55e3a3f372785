-- Returns the revision of a document: 44 bits of a digest of its length and its end, never 0, so
-- that it costs the same however long the document is. Lua prints numbers up to 2^44 whole.
local function revision(size, tail)
  if redis.sha1hex then
    return tonumber(string.sub(redis.sha1hex(size .. ':' .. tail), 1, 11), 16) + 1
  end
  -- Stand-ins for a server may lack it.
  local sum = size
  for at = 1, #tail do
    sum = (sum * 509 + string.byte(tail, at)) % 17592186044399
  end
  return sum + 1
end
