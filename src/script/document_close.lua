-- The end of every write: restarts the time to live, writes the fence.
rev = revision(redis.call('STRLEN', key), redis.call('GETRANGE', key, -1024, -1))
if ARGV[1] == '0' then
  redis.call('PERSIST', key)
else
  redis.call('PEXPIRE', key, ARGV[1])
end
-- A day: as long as keys of callers are remembered.
redis.call('SET', fence, 'redember-fence:1 rev=' .. rev .. ' count=' .. count .. ' lanes=' .. lanes
  .. ';' .. lane .. ':' .. token .. ':' .. rev .. ':' .. count .. ':' .. now + ARGV[4], 'PX', 86400000)
return { 0, rev, tonumber(count) }
