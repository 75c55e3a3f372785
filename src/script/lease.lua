-- Takes, extends or gives back a lease. ARGV: 1 the holder's token, 2 for how many ms ('0': back), 3 the
-- name of who asks, 4 the number of this call, which grows from one to the next.
-- Answers 1 if the lease is, or was, the holder's; 0 if not. Sending it again is harmless.
local holder = redis.call('GET', KEYS[1])
-- What a lease leaves that was given back, a mark that others take for free: who did that, in which call,
-- what the answer was, and the token.
local name, number, answer, token = string.match(holder or '', '^\n(%S+) (%d+) ([01]) (.*)$')
if name then
  holder = nil
end
if holder and holder ~= ARGV[1] then
  return 0
end
if name == ARGV[3] and token == ARGV[1] then
  local later = ARGV[4] - number
  if later == 0 then
    return tonumber(answer)
  elseif later < 0 then
    -- Its caller has given up on it, and given the lease back: nobody would do so again.
    return 0
  end
end
if ARGV[2] ~= '0' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
-- A server that is out of memory refuses the mark, but only as long as the script has written nothing.
redis.call('DEL', KEYS[1])
answer = holder and 1 or 0
-- Ten minutes: as long as lanes are remembered.
redis.call('SET', KEYS[1], '\n' .. ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. answer .. ' ' .. ARGV[1], 'PX', '600000')
return answer
