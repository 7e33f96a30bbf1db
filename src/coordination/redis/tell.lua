-- Publishes something to the other gateways. A script, so that on a cluster it takes the way of all other news.
--
--   ARGV[3], ARGV[4]  channel and who calls, see head.lua
--   ARGV[5]           the message
local news_channel, origin, message = ARGV[3], ARGV[4], ARGV[5]
return redis.call('PUBLISH', news_channel, origin .. ' ' .. message)
