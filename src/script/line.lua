-- The beginning of every write. Straight-line code on numeric strings, no functions and no tables: it
-- runs on every write, and a server runs one script at a time. Numbers cost when they become text, so
-- a constant argument of a command is text, and the header is printed by one `%d` for each number.
local call, key = redis.call, KEYS[1]
-- A key of another type ends the script here, unwritten.
local line = call('LINDEX', key, '0')
