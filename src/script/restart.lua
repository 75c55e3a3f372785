-- Restarts the time to live. ARGV: 1 TTL in ms ('0': never expires).
if ARGV[1] == '0' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
