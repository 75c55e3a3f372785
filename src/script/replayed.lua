-- A replay writes the header back as it is. Who waits for replicas waits, on some servers (Valkey 9), only for
-- what its own connection has written, and what was applied before may not be with them yet. A server that
-- is out of memory refuses this, and no more.
if answer and answer[1] == 1 then
  redis.pcall('LSET', key, '0', line)
end
