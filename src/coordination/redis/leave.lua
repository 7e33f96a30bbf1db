-- Removes the registration of a replica that acts on nothing any more, so that the others need not wait for it.
--
--   ARGV[5]     the replica; the others: see head.lua
--   returns     1 where it was registered, else 0

--- @include "head.lua"
local replica = ARGV[5]
read_replicas()
if not replicas[replica] then return 0 end
remove_replica(replica)
-- By the clock of the last sync: the next one sees whether the clock was set meanwhile.
try_effect(last)
save(false)
return 1
