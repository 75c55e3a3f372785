-- The answer to a write that was applied: its revision, and how many messages there are now.
return { 0, rev, tonumber(count) }
