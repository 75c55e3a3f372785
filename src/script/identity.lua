-- After the header was read: answers replays, late writes and conflicts, takes the lane out of `lanes`.
local first, last
if not answer then
  first, last = string.find(lanes, ';' .. lane .. ':', 1, true)
end
-- Has this lane written before? Then this is that write again, a late one, or the next one.
if first then
  local seen, after = string.match(lanes, '^([^:]+):[%d:]+()', last + 1)
  if seen == token then
    local seen_rev, seen_count = string.match(lanes, ':(%d+):(%d+)', last + 1)
    answer = { 1, tonumber(seen_rev), tonumber(seen_count) }
  elseif string.sub(lane, 1, 1) == 'i' then
    answer = { 4, tonumber(rev), tonumber(count) }
  elseif tonumber(token) < tonumber(seen) then
    answer = { 3, tonumber(rev), tonumber(count) }
  end
  known = true
  lanes = string.sub(lanes, 1, first - 1) .. string.sub(lanes, after)
end
if not answer and ARGV[5] ~= '-1' and tonumber(ARGV[5]) ~= tonumber(rev) then
  answer = { 2, tonumber(rev), tonumber(count) }
end
