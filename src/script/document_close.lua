-- The end of every write: writes the fence.
rev = revision(redis.call('STRLEN', key), redis.call('GETRANGE', key, -1024, -1))
now = now or redis.call('TIME')[1]
-- A day: as long as keys of callers are remembered.
redis.call('SET', fence, 'redember-fence:1 rev=' .. rev .. ' count=' .. count .. ' lanes=' .. lanes
  .. ';' .. lane .. ':' .. token .. ':' .. rev .. ':' .. count .. ':' .. now + ARGV[4], 'PX', 86400000)
