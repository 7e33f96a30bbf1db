-- Moves a root if it still has the expected generation, or makes it again if it has ended; see AffinityStore.rebind.
-- The only name asked about is that of the root.
--
--   ARGV[4..5]   the instance and incarnation to move to
--   ARGV[6]      the expected generation, and for an agent of a group `|` and JSON, see groups.lua. The others: see
--                head.lua
--   returns      {'holds', ...}, see `answer`; {'stale'}; or {'declare', ...}
--   constants    MOVED: the letter of that cause (affinity/origin-text.ts)

--- @include "head.lua"
--- @include "groups.lua"
local instance, incarnation = ARGV[4], ARGV[5]
local expected, group = string.match(ARGV[6], '^(%d+)|?(.*)$')
expected, group = tonumber(expected), group ~= '' and cjson.decode(group)
local asked = name(1)
local entry, field, root = resolve(asked)
local again = redirect()
if again then return again end

if root and (field ~= asked or root.generation ~= expected) then return answer(field, root, false) end
if group then
  local place = place_in_group(group, asked)
  again = redirect()
  if again then return again end
  if place then instance, incarnation = place.instance, place.incarnation end
end
local generation = math.max(expected, (last_released(asked))) + 1
local after = { instance = instance, incarnation = incarnation, generation = generation, found = root and root.found }
-- An operator moves an agent who is idle.
local is_moved = string.sub(reason, 1, 1) == MOVED
write_root(asked, root, after, origin(NOW, epoch, reason), is_moved and kept_end_of_origin(asked, root) or nil)
settle({ asked })
if not root then redis.call('DEL', held) end
if group then note_member(group, asked, instance, true) end
bound(asked, after, epoch, 1, 1)
return answer(asked, after, true)
