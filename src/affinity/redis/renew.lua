-- Restarts the lifetime of a binding, and of those of the names that lead to it. The first name that has a binding
-- decides.
--
--   ARGV[4..5]   unused
--   ARGV[6]      how long ago the last request of the agent ended that the caller knows of, in milliseconds. If the
--                agent has logged off after that, nothing is done. The others: see head.lua
--   returns      {'holds', ...}, see `answer`; {'none'} if no name has a binding, or nothing is done; or
--                {'declare', ...}

--- @include "head.lua"
local seen_ago = tonumber(ARGV[6])
local found = {}
local field, root
for i = 1, names_asked do
  local entry, f, r = resolve(name(i))
  found[i] = { entry, f }
  if not root then field, root = f, r end
end
local again = redirect()
if again then return again end
if not root then return { 'none' } end
local left_at = logged_off(field, root)
if left_at and NOW - seen_ago < left_at then return { 'none' } end

local led = { field }
write_root(field, root, root)
for i = 1, names_asked do
  local entry = found[i][1]
  if found[i][2] == field and name(i) ~= field then
    write_pointer(name(i), entry, field, entry.found)
    led[#led + 1] = name(i)
  end
end
settle(led)
return answer(field, root, false)
