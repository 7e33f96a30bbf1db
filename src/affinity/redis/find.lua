-- Finds the root of the first name that has one, with its origin. Changes nothing.
--
--   ARGV[4..6]   unused; the others: see head.lua
--   returns      {'holds', now, root field, entry, packed origin or ''}; {'none'}; or {'declare', ...}

--- @include "head.lua"
local field, root
for i = 1, names_asked do
  local _, f, r = resolve(name(i))
  if not root then field, root = f, r end
end
local again = redirect()
if again then return again end
if not root then return { 'none' } end

local because = redis.call('HGET', bucket[field], '!!' .. field)
if not because or ended(because) then because = '' end
return { 'holds', string.format('%.0f', NOW), field, redis.call('HGET', bucket[field], field), because }
