-- After the beginning: stops where there is nothing to write, and cuts what was never committed.
if answer then
  return answer
end
if line and redis.call('LLEN', key) > chunks + 1 then
  redis.call('LTRIM', key, 0, chunks)
end
