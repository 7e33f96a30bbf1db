-- Writes the next policy, if the stored one is still the one that it is based on.
--
--   ARGV[5]     version of the policy that the new one is based on
--   ARGV[6..7]  version and JSON of the new one
--   ARGV[8]     id of the only view on which it may be written; '' for any
--   ARGV[9]     for how many milliseconds acts are kept
--   ARGV[10..]  the operator's acts; the others: see head.lua
--   returns     1 if it was written, else 0

--- @include "head.lua"
local base, next_version, next_policy = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local on_view, kept_ms, acts = ARGV[8], tonumber(ARGV[9]), { unpack(ARGV, 10) }
if generation ~= CURRENT_GENERATION or not open or base ~= version then return 0 end
if on_view ~= '' and on_view ~= id then return 0 end
version = next_version
write('policy', next_policy)
log_acts(acts, kept_ms)
save(true)
return 1
