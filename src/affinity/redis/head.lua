-- The start of all scripts for bindings: the names of their keys and arguments, and the functions that they share.
--
-- All scripts take the same arguments. They use Redis's clock (TIME), so the gateways' clocks need not agree.
--
-- If a script meets a pointer into a bucket that was not declared, it changes nothing and returns
-- {'declare', root field...}. The caller adds those fields and calls again, which looks everything up again.
--
-- If the caller's fencing token is not the current one, a script changes nothing and returns {'stale'}.
--
--   KEYS[1]      counts (hash): `<instance>|<end>` -> live roots that end then
--   KEYS[2]      the fencing token of the view in effect, written by the scripts of the view store;
--                for restore.lua, the view store itself
--   KEYS[3...]   the bucket of each field, and after them, for scripts that write fields:
--                aliases (hash): `|<end>` -> live pointers that end then;
--                newcomers (sorted set): each name on probation -> since when, in microseconds (see claim.lua);
--                held (string): how many names are live, as counted within the last second;
--                groups, members: only for an agent of a group, see groups.lua;
--                the view store: only for a claim that says so, see claim.lua
--   ARGV[1]      idle lifetime in milliseconds
--   ARGV[2]      quantum in milliseconds
--   ARGV[3]      channel on which the scripts publish changes of bindings
--   ARGV[4..6]   see each script
--   ARGV[7]      how many of the fields are the names asked about; the others are roots that an earlier call asked for
--   ARGV[8]      the caller's fencing token, or '' for a step that needs none
--   ARGV[9]      the epoch that origins and the published message contain
--   ARGV[10]     the reason for a new binding or a move, or '' (see affinity/origin-text.ts); for list.lua, the filter
--   ARGV[11...]  fields. A bucket is a hash: field -> entry (see affinity/packing.ts), '!' and a field -> the note on a
--                session (see claim.lua), and '!!' and the field of a root -> its origin:
--                `<generation of the root>|<since>|<epoch>|<reason>|<end>`. It counts only for a root with that
--                generation: a release that keeps no origins may have moved the binding. Its end tells when the agent
--                last used the binding, see `end_of_origin`. '!=' and the field of a root
--                -> the generation of its last released binding, with the same mark as in a root (see release.lua).
--                '!-' and the field of a root -> `<generation>|<when>|<since>|<end>`, if its agent has logged off: when
--                the request came, and since when the store knows (see logoff.lua). It counts only while the root has
--                that generation and end, so any step that restarts the lifetime ends it. '!?' and the field of a root:
--                see restore.lua
local BUCKETS_FROM, FIELDS_FROM = 3, 11
local counts, fencing_token_key = KEYS[1], KEYS[2]
local idle_lifetime, QUANTUM, channel = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local names_asked, fencing_token, epoch, reason = tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10]
local fields, bucket = {}, {}
for i = FIELDS_FROM, #ARGV do
  fields[#fields + 1] = ARGV[i]
  bucket[ARGV[i]] = KEYS[i - FIELDS_FROM + BUCKETS_FROM]
end
local aliases, newcomers, held, groups, members = unpack(KEYS, BUCKETS_FROM + #fields)

--- @include "../../redis/replication.lua"

-- The key alone is not enough: a replica that has just been promoted may have it too.
local function token_holds(token)
  return redis.call('GET', fencing_token_key) == token and string.match(token, '%.(%x*)$') == replication()
end
if fencing_token ~= '' and not token_holds(fencing_token) then return { 'stale' } end

local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)
local function end_of(since)
  return string.format('%.0f', (math.floor((since + idle_lifetime) / QUANTUM) + 1) * QUANTUM)
end
local END = end_of(NOW)

-- Roots that the script needs and the caller has not declared.
local undeclared = {}

local function name(i)
  if i <= names_asked then return fields[i] end
end

local function ended(packed)
  local e = string.match(packed, '^>(%d+)') or string.match(packed, '|(%d+)$')
  return not e or tonumber(e) <= NOW
end

-- The live entry of a field: a root has an instance, a pointer has a root.
local function read(field)
  local packed = redis.call('HGET', bucket[field], field)
  if not packed or ended(packed) then return nil end
  local zero, e, root = string.match(packed, '^>(0?)(%d+)|(.*)$')
  if root then return { e = e, root = root, found = zero == '0' } end
  local instance, incarnation, generation, e = string.match(packed, '^=([^|]*)|([^|]*)|(%d+)|(%d+)$')
  local found = string.match(generation, '^0%d') ~= nil
  return { e = e, instance = instance, incarnation = incarnation, generation = tonumber(generation), found = found }
end

-- A note on a field, unless it has ended. kind: '' for the note on a session, RELEASED for the generation of the last
-- released binding.
local RELEASED, LOGGED_OFF = '=', '-'
local function note(field, kind)
  local packed = redis.call('HGET', bucket[field], '!' .. kind .. field)
  if packed and not ended(packed) then return string.match(packed, '^(.*)|%d+$') end
end

-- The entry of a field, and the field and entry of the live root that it leads to.
local function resolve(field)
  local entry = read(field)
  if not entry then return nil end
  if entry.instance then return entry, field, entry end
  if not bucket[entry.root] then
    undeclared[#undeclared + 1] = entry.root
    return entry
  end
  local root = read(entry.root)
  if root and root.instance then return entry, entry.root, root end
  return entry
end

local function redirect()
  if #undeclared > 0 then return { 'declare', unpack(undeclared) } end
end

-- Only extends the key's lifetime: it may hold entries with a longer lifetime than ours.
local function keep(key)
  if redis.call('PEXPIREAT', key, END, 'GT') == 0 then redis.call('PEXPIREAT', key, END, 'NX') end
end

local function tally(key, field, by)
  local total = redis.call('HINCRBY', key, field, by)
  if total <= 0 then
    redis.call('HDEL', key, field)
  elseif by == 1 and total == 1 then
    -- The hash grew by one field, so check a few others: ended fields never outnumber live ones.
    for _, other in ipairs(redis.call('HRANDFIELD', key, 4)) do
      if ended(other) then redis.call('HDEL', key, other) end
    end
    keep(key)
  end
end

local function count(instance, e, by) tally(counts, instance .. '|' .. e, by) end
local function count_alias(e, by) tally(aliases, '|' .. e, by) end

-- packed_origin: of a root, if it is known.
local function write(field, packed, packed_origin)
  local key, added = bucket[field], nil
  if packed_origin then
    added = redis.call('HSET', key, field, packed, '!!' .. field, packed_origin)
  else
    added = redis.call('HSET', key, field, packed)
  end
  if added > 0 then
    -- As in `tally`.
    local some = redis.call('HRANDFIELD', key, 6, 'WITHVALUES')
    for i = 1, #some, 2 do
      if ended(some[i + 1]) then redis.call('HDEL', key, some[i]) end
    end
  end
  keep(key)
end

local function write_note(field, kind, text, e)
  redis.call('HSET', bucket[field], '!' .. kind .. field, text .. '|' .. (e or END))
  keep(bucket[field])
end

-- The end of the origin of a root tells when the agent last used it: that time, plus lifetime and quantum, in steps of
-- 64 ms. The rest of the division by 64 names the end of the root, because a release that does not know of it renews
-- the root alone. root_end: END by default.
local function end_of_origin(used, root_end)
  local e = used + idle_lifetime + QUANTUM
  return string.format('%.0f', e - e % 64 + math.floor((root_end or END) / QUANTUM) % 64)
end

-- The same for a step that is not of the agent: the time stays.
local function kept_end_of_origin(field, old)
  local e = tonumber(string.match(redis.call('HGET', bucket[field], '!!' .. field) or '', '|(%d+)$'))
  if e and old and e % 64 == math.floor(old.e / QUANTUM) % 64 then return end_of_origin(e - idle_lifetime - QUANTUM) end
  return string.format('%.0f', END - END % 64 + (END / QUANTUM + 1) % 64)
end

-- The origin of a live root, without generation and end.
local function origin_of(field, root)
  local packed = redis.call('HGET', bucket[field], '!!' .. field)
  if not packed or ended(packed) then return nil end
  local generation, text = string.match(packed, '^(%d+)|(.*)|%d+$')
  if tonumber(generation) == root.generation then return text end
end

-- The origin of a root that is new or moved; nil if the caller does not say why.
local function origin(since, at, why)
  if why ~= '' then return string.format('%.0f|%s|%s', since, at, why) end
end

-- The generation of the field's last released binding, or 0, and whether its names were only found. The next binding
-- has a later one, because gateways may still have copies of the released binding.
local function last_released(field)
  local generation = note(field, RELEASED) or '0'
  return tonumber(generation), string.match(generation, '^0%d') ~= nil
end

-- old: the live entry of the field, if any. A root that was only found in a body gets a mark, see affinity/packing.ts.
-- new_origin: of a root that is new or moved. Any other root keeps its origin.
-- origin_end: see `end_of_origin`; by default, the agent uses the binding now. root_end: END by default.
local function write_root(field, old, root, new_origin, origin_end, root_end)
  local was, found, e = old and old.instance, root.found or false, root_end or END
  origin_end = origin_end or end_of_origin(NOW, e)
  if was ~= root.instance or old.e ~= e then
    local before = not was and read(field)
    if was then count(was, old.e, -1) elseif before and before.root then count_alias(before.e, -1) end
    count(root.instance, e, 1)
  elseif old.incarnation == root.incarnation and old.generation == root.generation and old.found == found then
    local text = origin_of(field, old)
    if text then
      redis.call('HSET', bucket[field], '!!' .. field, string.format('%d|%s|%s', root.generation, text, origin_end))
    end
    return
  end
  local because, mark = new_origin, found and '0' or ''
  if was and old.generation == root.generation then
    because = origin_of(field, old)
  elseif not because then
    redis.call('HDEL', bucket[field], '!!' .. field)
  end
  write(field, string.format('=%s|%s|%s%d|%s', root.instance, root.incarnation, mark, root.generation, e),
    because and string.format('%d|%s|%s', root.generation, because, origin_end))
end

local function write_pointer(field, old, root, found)
  found = found or false
  if old and old.root == root and old.e == END and old.found == found then return end
  if old and old.instance then
    count(old.instance, old.e, -1)
    redis.call('HDEL', bucket[field], '!!' .. field)
  end
  if not old or old.instance or old.e ~= END then
    if old and old.root then count_alias(old.e, -1) end
    count_alias(END, 1)
  end
  write(field, '>' .. (found and '0' or '') .. END .. '|' .. root)
end

-- Removes a live entry.
local function remove(field, entry)
  if entry.instance then count(entry.instance, entry.e, -1) else count_alias(entry.e, -1) end
  redis.call('HDEL', bucket[field], field, '!' .. field, '!!' .. field)
end

-- When the agent of this live root has logged off, and since when the store knows that; nil if not, or if a request has
-- come since.
local function logged_off(field, root)
  local mark = redis.call('HGET', bucket[field], '!' .. LOGGED_OFF .. field) or ''
  local generation, at, told, e = string.match(mark, '^(%d+)|(%d+)|(%d+)|(%d+)$')
  if tonumber(generation) == root.generation and e == root.e then return tonumber(at), tonumber(told) end
end

-- Names that are asked about again are no longer on probation.
local function settle(names) redis.call('ZREM', newcomers, unpack(names)) end

-- Tells listeners that these names may lead elsewhere now.
local function moved(...)
  redis.call('PUBLISH', channel, cjson.encode({ 'moved', ... }))
end

-- Tells listeners that the root is new or was moved, or that one of the names fields[first...last] now leads to it.
-- at: the epoch in which that happened. has_new: one of the names is on probation; earlier releases read that message
-- like any other.
local function bound(field, root, at, first, last, has_new)
  local news = { has_new and 'new' or 'bound', at, field, root.instance, root.incarnation, root.generation }
  for i = first, last do
    if fields[i] ~= field then news[#news + 1] = fields[i] end
  end
  redis.call('PUBLISH', channel, cjson.encode(news))
end

-- The flat reply: root field, instance, incarnation, generation, made, displaced instance and incarnation.
local function answer(field, root, made, displaced)
  return { 'holds', field, root.instance, root.incarnation, root.generation, made and 1 or 0,
    displaced and displaced.instance or '', displaced and displaced.incarnation or '' }
end

local function same_place(a, b)
  return a.instance == b.instance and a.incarnation == b.incarnation
end
