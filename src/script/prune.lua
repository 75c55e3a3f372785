-- Before the lane of this write is added to `lanes`: forgets what is over, or too much.
local now
if #lanes > 1600 and rev % 32 == 0 or #lanes > 40000 and not known then
  -- One time in 32, since it takes longer than all the rest; 40,000 bytes hold more lanes than are kept.
  -- Drop entries whose time is over; then the oldest keys beyond 256, and the oldest lanes beyond
  -- 256 that no write on its way can still need: those of the last minute stay, however many. A lane
  -- without a time has been used since this was done last, and is given one.
  now = redis.call('TIME')[1]
  -- This write's own is one of them.
  local keys = string.sub(lane, 1, 1) == 'i' and 1 or 0
  local entries, writers = {}, 1 - keys
  for entry, kind, until_ in string.gmatch(lanes, '(;(.)[^:;]*:[^:;]+:%d+:%d+:?(%d*))') do
    if until_ == '' then
      until_ = now + (kind == 'i' and 86400 or 600)
      entry = string.format('%s:%d', entry, until_)
    end
    if until_ - now >= 0 then
      entries[#entries + 1] = { entry, kind, until_ - now }
      if kind == 'i' then keys = keys + 1 else writers = writers + 1 end
    end
  end
  local kept = {}
  for _, entry in ipairs(entries) do
    if entry[2] == 'i' and keys > 256 then
      keys = keys - 1
    elseif entry[2] ~= 'i' and writers > 256 and entry[3] < 540 then
      writers = writers - 1
    else
      kept[#kept + 1] = entry[1]
    end
  end
  lanes = table.concat(kept)
end
