-- The names of a pool and their limit, for claim.lua and peek.lua. Changes nothing.

-- The number of live names, and whether it was kept. Counting takes longer than a claim, so claim.lua keeps the sum for
-- a second.
local function count_names()
  local known = redis.call('GET', held)
  if known then return tonumber(known), true end
  local total = 0
  for _, key in ipairs({ counts, aliases }) do
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      if not ended(all[i]) then total = total + tonumber(all[i + 1]) end
    end
  end
  return total, false
end

-- Has the name, new since then in microseconds, had no second request? A gateway of an earlier release only renews the
-- entry.
local function is_unused_since(name, since)
  local entry = read(name)
  return entry ~= nil and entry.e == end_of(math.floor(since / 1000))
end
