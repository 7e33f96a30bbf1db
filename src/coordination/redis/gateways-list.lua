-- Returns a part of the entries: the next cursor, which is '0' after the last part, and for each live entry the
-- replica, its age in milliseconds and its JSON.
--
--   ARGV[1]     cursor; the others: see gateways.lua

--- @include "gateways.lua"
local cursor = ARGV[1]
local next_cursor, live = scan(cursor)
return { next_cursor, live }
