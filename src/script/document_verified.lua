-- ARGV: 6 a revision whose document the caller has read ('0': none), 7 how many messages it had.
if answer then
  return answer
end
if size > 0 and not counted and tonumber(ARGV[6]) == rev then
  counted = tonumber(ARGV[7])
end
