-- Counts the live roots of each instance. Takes no fields.
--
--   ARGV[4..6]   unused; the others: see head.lua
--   returns      flat pairs: instance, live roots

--- @include "head.lua"
local totals, order = {}, {}
local all = redis.call('HGETALL', counts)
for i = 1, #all, 2 do
  if ended(all[i]) then
    redis.call('HDEL', counts, all[i])
  else
    local instance = string.match(all[i], '^([^|]*)|')
    totals[instance] = (totals[instance] or 0) + tonumber(all[i + 1])
  end
end
for instance, total in pairs(totals) do
  order[#order + 1] = instance
  order[#order + 1] = total
end
return order
