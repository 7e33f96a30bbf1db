-- Restarts the lifetime of a binding, and of those of the names that lead to it. The first name that has a binding
-- decides.
--
--   ARGV[4..6]   unused; the others: see head.lua
--   returns      {'holds', ...}, see `answer`; {'none'} if no name has a binding; or {'declare', ...}

--- @include "head.lua"
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

write_root(field, root, root)
for i = 1, names_asked do
  local entry = found[i][1]
  if found[i][2] == field and name(i) ~= field then write_pointer(name(i), entry, field, entry.found) end
end
return answer(field, root, false)
