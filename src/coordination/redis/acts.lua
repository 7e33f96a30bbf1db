-- Returns a part of the operators' acts, oldest first.
--
--   KEYS[8]     acts, see head.lua
--   ARGV[5..6]  how many, after so many newer ones
local acts_key, limit, skipped = KEYS[8], tonumber(ARGV[5]), tonumber(ARGV[6])
return redis.call('LRANGE', acts_key, -skipped - limit, -skipped - 1)
