-- Publishes a message to the other gateways. It is a script so that in a Redis Cluster it goes through the same node as
-- all other news.
--
--   ARGV[3], ARGV[4]  channel and who calls, see head.lua
--   ARGV[5]           the message
local news_channel, origin, message = ARGV[3], ARGV[4], ARGV[5]
return redis.call('PUBLISH', news_channel, origin .. ' ' .. message)
