-- Removes a name and the root that it leads to.
--
--   ARGV[4..6]   unused; the others: see head.lua
--   returns      {'released'}; {'none'} if the name had no binding; or {'declare', ...}

--- @include "head.lua"
local asked = name(1)
local entry, field, root = resolve(asked)
local again = redirect()
if again then return again end

redis.call('HDEL', bucket[asked], asked, '!' .. asked)
if not root then return { 'none' } end
count(root.instance, root.e, -1)
redis.call('HDEL', bucket[field], field)
if field == asked then moved(asked) else moved(asked, field) end
return { 'released' }
