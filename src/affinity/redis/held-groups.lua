-- Tells where the groups of a pool are. Takes no fields, and changes nothing.
--
--   KEYS[6]      groups (hash), see groups.lua
--   ARGV[4..6]   unused; the others: see head.lua
--   returns      flat: for each instance its id, how many groups are there, the sum of their sizes, and name and size
--                of the largest

--- @include "head.lua"
local held_at, order = {}, {}
local all = redis.call('HGETALL', groups)
for i = 1, #all, 2 do
  if not ended(all[i + 1]) then
    local at, size = string.match(all[i + 1], '^([^|]*)|(%d+)')
    size = tonumber(size)
    local sum = held_at[at]
    if not sum then
      sum = { number = 0, size = 0, largest = '', most = -1 }
      held_at[at] = sum
      order[#order + 1] = at
    end
    sum.number, sum.size = sum.number + 1, sum.size + size
    if size > sum.most or (size == sum.most and all[i] < sum.largest) then sum.largest, sum.most = all[i], size end
  end
end
local reply = {}
for _, at in ipairs(order) do
  local sum = held_at[at]
  for _, value in ipairs({ at, sum.number, sum.size, sum.largest, sum.most }) do reply[#reply + 1] = value end
end
return reply
