-- The start of the scripts of the registry of gateways: the clock, and the one step in which they go through it.
--
--   KEYS[1]    gateways (hash): replica -> end|written|JSON, times in milliseconds by Redis's clock
--   constants  SCANNED_AT_ONCE
local gateways_key = KEYS[1]

local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)

-- Removes entries that have ended. Looks at a part of them only, so that Redis is not blocked, however many there are.
-- Returns the cursor of the next part, and the live entries of this part: replica, age in milliseconds, JSON.
local function scan(cursor)
  local next_cursor, found = unpack(redis.call('HSCAN', gateways_key, cursor, 'COUNT', SCANNED_AT_ONCE))
  local live = {}
  for i = 1, #found, 2 do
    local e, written, json = string.match(found[i + 1], '^(%d+)|(%d+)|(.*)$')
    if e and tonumber(e) > NOW then
      live[#live + 1] = { found[i], string.format('%.0f', NOW - written), json }
    else
      redis.call('HDEL', gateways_key, found[i])
    end
  end
  return next_cursor, live
end
