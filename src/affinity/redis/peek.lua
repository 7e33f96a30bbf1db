-- Tells what the names of a request hold, and where an agent of the group would be placed. Changes nothing. What
-- follows from that for a claim is decided by core/holdings.ts.
--
--   ARGV[4..5]   unused
--   ARGV[6]      '' or the agent's group as JSON, see groups.lua; ARGV[10]: the root field of an agent who is to be
--                moved, or ''. The others: see head.lua
--   returns      {'peeked', instance and incarnation where the group would be placed, or '', and for each name: the
--                field of the root that it leads to, or that gets its next binding; the entry of that root, or '';
--                1 if the name is an alias that was only found, else 0; 1 if the agent has logged off, else 0; and the
--                note on the name, or ''}; {'stale'}; or {'declare', ...}
--   constants    MOST_MEMBERS: see groups.lua

--- @include "head.lua"
--- @include "groups.lua"
local group = ARGV[6] ~= '' and cjson.decode(ARGV[6])
local found = {}
for i = 1, names_asked do
  local entry, field, root = resolve(name(i))
  found[i] = { entry, field, root }
end
local place = group and place_in_group(group, reason)
local again = redirect()
if again then return again end

local reply = { 'peeked', place and place.instance or '', place and place.incarnation or '' }
for i = 1, names_asked do
  local entry, field, root = unpack(found[i], 1, 3)
  local gets = name(i)
  if entry and entry.root and not read(entry.root) then gets = entry.root end
  reply[#reply + 1] = field or gets
  reply[#reply + 1] = root and redis.call('HGET', bucket[field], field) or ''
  reply[#reply + 1] = entry and entry.root and entry.found and 1 or 0
  reply[#reply + 1] = root and logged_off(field, root) and 1 or 0
  reply[#reply + 1] = note(name(i), '') or ''
end
return reply
