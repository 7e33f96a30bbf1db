-- Writes the next policy, if the stored one is still the one that it is based on.
--
--   ARGV[5]     version of the policy that the new one is based on
--   ARGV[6..7]  version and JSON of the new one
--   ARGV[8..]   events; the others: see head.lua
--   returns     1 if it was written, else 0

--- @include "head.lua"
local base, next_version, next_policy = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local events = { unpack(ARGV, 8) }
if generation ~= CURRENT_GENERATION or not open or base ~= version then return 0 end
version = next_version
write('policy', next_policy)
log(events)
save(true)
return 1
