-- Removes the entry of a gateway that ends.
--
--   KEYS[1]     gateways, see gateways.lua
--   ARGV[1]     replica
--   returns     1 if there was one, else 0
local gateways_key, replica = KEYS[1], ARGV[1]
return redis.call('HDEL', gateways_key, replica)
