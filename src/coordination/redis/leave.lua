-- Removes the registration of a replica that no longer acts on any view, so that the others need not wait for it.
--
--   ARGV[5]     the replica; the others: see head.lua
--   returns     1 if it was registered, else 0

--- @include "head.lua"
local replica = ARGV[5]
read_replicas()
if not replicas[replica] then return 0 end
remove_replica(replica)
-- Uses the time of the last sync: only a sync checks whether the clock was set.
try_effect(last)
save(false)
return 1
