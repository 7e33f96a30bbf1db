-- Returns the last changes of the view, oldest first.
--
--   KEYS[5]     events, see head.lua
--   ARGV[5]     how many
local events_key, limit = KEYS[5], tonumber(ARGV[5])
return redis.call('LRANGE', events_key, -limit, -1)
