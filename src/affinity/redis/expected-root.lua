-- Finds the root that the caller knows, and answers if it has another generation now. To be included after head.lua.
-- The only name asked about is that of the root. ARGV[6] begins with the expected generation.
local expected = tonumber(string.match(ARGV[6], '^%d+'))
local asked = name(1)
local entry, field, root = resolve(asked)
local again = redirect()
if again then return again end

if not root then return { 'none' } end
if field ~= asked or root.generation ~= expected then return answer(field, root, false) end
