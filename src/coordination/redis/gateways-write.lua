-- Writes the entry of a gateway, and removes some entries that have ended.
--
--   ARGV[1..2]  replica and JSON
--   ARGV[3]     how long the entry counts, in milliseconds
--   ARGV[4]     cursor; the others: see gateways.lua
--   returns     the next cursor

--- @include "gateways.lua"
local replica, json, lifetime, cursor = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local entry = string.format('%.0f|%.0f|%s', NOW + lifetime, NOW, json)
redis.call('HSET', gateways_key, replica, entry)
-- When no gateway is left to remove them, all entries end together.
redis.call('PEXPIRE', gateways_key, lifetime)
local next_cursor = scan(cursor)
return next_cursor
