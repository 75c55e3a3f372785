-- The usual write: the header still is as its writer knows it, who has made the next one. So the script need
-- not take a header apart, which is the larger part of its work.
--
-- ARGV: 8 the known header ('': there is none), 9 the next one ('': the script has to make it). A header
-- names the write that made it last, so one that is the same stands for the same messages.
local is_known = ARGV[9] ~= '' and ARGV[8] == (line or '') and line ~= ''
