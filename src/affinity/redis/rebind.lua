-- Moves a root if it still has the expected generation, or makes it again if it has ended; see AffinityStore.rebind.
-- The only name asked about is that of the root.
--
--   ARGV[4..6]   instance and incarnation to move to, and the expected generation; the others: see head.lua
--   returns      {'holds', ...}, see `answer`; {'stale'}; or {'declare', ...}

--- @include "head.lua"
local instance, incarnation, expected = ARGV[4], ARGV[5], tonumber(ARGV[6])
local asked = name(1)
local entry, field, root = resolve(asked)
local again = redirect()
if again then return again end

if root and (field ~= asked or root.generation ~= expected) then return answer(field, root, false) end
local after = { instance = instance, incarnation = incarnation, generation = expected + 1, found = root and root.found }
write_root(asked, root, after)
bound(asked, after, epoch, 1, 1)
return answer(asked, after, true)
