-- Logs acts of an operator that change no policy.
--
--   ARGV[5]     for how many milliseconds acts are kept
--   ARGV[6..]   the acts; the others: see head.lua

--- @include "head.lua"
local kept_ms, acts = tonumber(ARGV[5]), { unpack(ARGV, 6) }
log_acts(acts, kept_ms)
return 1
