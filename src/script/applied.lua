-- The answer to a write to a document that was applied: its revision, and how many messages there are.
return { 0, rev, tonumber(count) }
