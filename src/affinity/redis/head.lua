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
--   KEYS[3...]   the bucket of each field
--   ARGV[1]      idle lifetime in milliseconds
--   ARGV[2]      quantum in milliseconds
--   ARGV[3]      channel on which the scripts publish changes of bindings
--   ARGV[4..6]   see each script
--   ARGV[7]      how many of the fields are the names asked about; the others are roots that an earlier call asked for
--   ARGV[8]      the caller's fencing token, or '' for a step that needs none
--   ARGV[9]      the epoch that the published message contains
--   ARGV[10...]  fields. A bucket is a hash: field -> entry (see affinity/packing.ts), and '!' and a field -> the note
--                on a session (see claim.lua)
local BUCKETS_FROM, FIELDS_FROM = 3, 10
local counts, fencing_token_key = KEYS[1], KEYS[2]
local idle_lifetime, QUANTUM, channel = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local names_asked, fencing_token, epoch = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local fields, bucket = {}, {}
for i = FIELDS_FROM, #ARGV do
  fields[#fields + 1] = ARGV[i]
  bucket[ARGV[i]] = KEYS[i - FIELDS_FROM + BUCKETS_FROM]
end

--- @include "../../redis/replication.lua"

-- The key alone is not enough: a replica that has just been promoted may have it too.
local function token_holds(token)
  return redis.call('GET', fencing_token_key) == token and string.match(token, '%.(%x*)$') == replication()
end
if fencing_token ~= '' and not token_holds(fencing_token) then return { 'stale' } end

local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)
local END = string.format('%.0f', (math.floor((NOW + idle_lifetime) / QUANTUM) + 1) * QUANTUM)

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

-- The note on a session, unless it has ended.
local function note(field)
  local packed = redis.call('HGET', bucket[field], '!' .. field)
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

local function count(instance, e, by)
  local field = instance .. '|' .. e
  local total = redis.call('HINCRBY', counts, field, by)
  if total <= 0 then
    redis.call('HDEL', counts, field)
  elseif by == 1 and total == 1 then
    -- The hash grew by one field, so check a few others: ended fields never outnumber live ones.
    for _, other in ipairs(redis.call('HRANDFIELD', counts, 4)) do
      if ended(other) then redis.call('HDEL', counts, other) end
    end
    keep(counts)
  end
end

local function write(field, packed)
  local key = bucket[field]
  if redis.call('HSET', key, field, packed) == 1 then
    -- As in `count`.
    local some = redis.call('HRANDFIELD', key, 6, 'WITHVALUES')
    for i = 1, #some, 2 do
      if ended(some[i + 1]) then redis.call('HDEL', key, some[i]) end
    end
  end
  keep(key)
end

local function write_note(field, text)
  redis.call('HSET', bucket[field], '!' .. field, text .. '|' .. END)
  keep(bucket[field])
end

-- old: the live entry of the field, if any. A root that was only found in a body gets a mark, see affinity/packing.ts.
local function write_root(field, old, root)
  local was, found = old and old.instance, root.found or false
  if was ~= root.instance or old.e ~= END then
    if was then count(was, old.e, -1) end
    count(root.instance, END, 1)
  elseif old.incarnation == root.incarnation and old.generation == root.generation and old.found == found then
    return
  end
  local mark = found and '0' or ''
  write(field, string.format('=%s|%s|%s%d|%s', root.instance, root.incarnation, mark, root.generation, END))
end

local function write_pointer(field, old, root, found)
  found = found or false
  if old and old.root == root and old.e == END and old.found == found then return end
  if old and old.instance then count(old.instance, old.e, -1) end
  write(field, '>' .. (found and '0' or '') .. END .. '|' .. root)
end

-- Tells listeners that these names may lead elsewhere now.
local function moved(...)
  redis.call('PUBLISH', channel, cjson.encode({ 'moved', ... }))
end

-- Tells listeners that the root is new or was moved, or that one of the names fields[first...last] now leads to it.
-- at: the epoch in which that happened.
local function bound(field, root, at, first, last)
  local news = { 'bound', at, field, root.instance, root.incarnation, root.generation }
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
