-- Tells what the names of a request hold, and where an agent of the group would be placed. Changes nothing. What
-- follows from that for a claim is decided by core/holdings.ts.
--
--   ARGV[4]      the most names that the pool may have, or '' if the room for names is not asked for; ARGV[5]: unused
--   ARGV[6]      '' or the agent's group as JSON, see groups.lua; ARGV[10]: the root field of an agent who is to be
--                moved, or ''. The others: see head.lua
--   returns      {'peeked', instance and incarnation where the group would be placed, or ''; how many more names the
--                pool may have, which is negative beyond the limit, and how many would give way, or '' and ''; and for
--                each name: the field of the root that it leads to, or that gets its next binding; the entry of that
--                root, or ''; 1 if the name is an alias that was only found, else 0; 1 if the agent has logged off,
--                else 0; 1 if the name is new, else 0; and the note on the name, or ''}; {'stale'}; or {'declare', ...}
--   constants    MOST_MEMBERS: see groups.lua; RESERVED, AT_ONCE: see claim.lua

--- @include "head.lua"
--- @include "groups.lua"
--- @include "room.lua"
local group = ARGV[6] ~= '' and cjson.decode(ARGV[6])
local found = {}
for i = 1, names_asked do
  local entry, field, root = resolve(name(i))
  found[i] = { entry, field, root }
end
local place = group and place_in_group(group, reason)

-- How many names on probation would give way, up to as many as are asked about. Meaningless if a bucket is not
-- declared, see `redirect`.
local function count_replaceable()
  local is_own, total, from = {}, 0, 0
  for i = 1, names_asked do
    is_own[name(i)] = true
    if found[i][2] then is_own[found[i][2]] = true end
  end
  repeat
    local some = redis.call('ZRANGEBYSCORE', newcomers, 0, '(' .. RESERVED, 'WITHSCORES', 'LIMIT', from, AT_ONCE)
    for i = 1, #some, 2 do
      if not bucket[some[i]] then
        undeclared[#undeclared + 1] = some[i]
      elseif not is_own[some[i]] and is_unused_since(some[i], tonumber(some[i + 1])) then
        total = total + 1
      end
    end
    from = from + AT_ONCE
  until #some == 0 or #undeclared > 0 or total >= names_asked
  return math.min(total, names_asked)
end

local most, free, replaceable = tonumber(ARGV[4]), '', ''
if most then
  free = most - count_names()
  replaceable = free < names_asked and count_replaceable() or 0
end
local again = redirect()
if again then return again end

local reply = { 'peeked', place and place.instance or '', place and place.incarnation or '', free, replaceable }
for i = 1, names_asked do
  local entry, field, root = unpack(found[i], 1, 3)
  local gets = name(i)
  if entry and entry.root and not read(entry.root) then gets = entry.root end
  reply[#reply + 1] = field or gets
  reply[#reply + 1] = root and redis.call('HGET', bucket[field], field) or ''
  reply[#reply + 1] = entry and entry.root and entry.found and 1 or 0
  reply[#reply + 1] = root and logged_off(field, root) and 1 or 0
  reply[#reply + 1] = entry and 0 or 1
  reply[#reply + 1] = note(name(i), '') or ''
end
return reply
