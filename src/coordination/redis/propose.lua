-- Writes the next view, if the stored one is in effect and still the one that it is based on.
--
--   ARGV[5]     id of the view that the new one is based on
--   ARGV[6..8]  epoch, id and JSON of the new one
--   ARGV[9..]   events; the others: see head.lua
--   returns     1 if it was written, else 0

--- @include "head.lua"
local base, next_epoch, next_id, next_view = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local events = { unpack(ARGV, 9) }
if generation ~= CURRENT_GENERATION or not open or not effective or base ~= id then return 0 end
epoch, id, effective = next_epoch, next_id, false
write('view', next_view)
log(events)
save(false)
return 1
