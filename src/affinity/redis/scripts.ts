import { REPLICATION } from '../../redis/keys.ts';
import { CLAIM } from './claim-script.ts';

/**
 * The atomic steps of the Redis store.
 *
 * All scripts are called alike, so that they can share the helpers below:
 *
 *   KEYS[1]      counts (hash: `<instance>|<end>` -> live roots that end then)
 *   KEYS[2]      the fence, which stands for the view in effect; the ledger's own
 *                scripts keep it. For RESTORE, the ledger
 *   KEYS[3...]   the bucket of each field from ARGV[10] on
 *   ARGV[1]      idle lifetime in milliseconds
 *   ARGV[2]      quantum in milliseconds
 *   ARGV[3]      channel that news of bindings are published on
 *   ARGV[4..6]   instance, incarnation, generation, where the script takes them;
 *                for CLAIM, ARGV[6] holds the rulings (core/evidence.ts)
 *   ARGV[7]      how many of the fields are the names asked about; the others
 *                are roots that an earlier call asked for
 *   ARGV[8]      the fence that the step bears, or '' for a step that needs none
 *   ARGV[9]      the epoch that those are told who hear of the step
 *   ARGV[10...]  fields, and a bucket is a hash: field -> entry (see packing.ts),
 *                and '!' and a field -> what is noted of a session (see CLAIM)
 *
 * A script that meets a pointer into a bucket that was not declared changes
 * nothing and returns {'declare', root field...}. The caller adds those fields
 * and calls again; everything is looked up afresh then.
 *
 * A script that bears a fence which does not hold changes nothing and returns
 * {'stale'}.
 *
 * Time is Redis's own (TIME), so gateways need not agree about theirs.
 */
const SHARED = `
${REPLICATION}
-- The key alone does not tell: a server that has just taken over may hold it too.
local function fence_holds(fence)
  return redis.call('GET', KEYS[2]) == fence and string.match(fence, '%.(%x*)$') == replication()
end
if ARGV[8] ~= '' and not fence_holds(ARGV[8]) then return { 'stale' } end

local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)
local QUANTUM = tonumber(ARGV[2])
local END = string.format('%.0f', (math.floor((NOW + tonumber(ARGV[1])) / QUANTUM) + 1) * QUANTUM)
local NAMES = tonumber(ARGV[7])

local bucket, undeclared = {}, {}
for i = 10, #ARGV do bucket[ARGV[i]] = KEYS[i - 7] end

local function name(i)
  if i <= NAMES then return ARGV[9 + i] end
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

-- What is noted of a session, while that lives.
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

-- Only ever further: entries of a longer lifetime than ours may be inside.
local function keep(key)
  if redis.call('PEXPIREAT', key, END, 'GT') == 0 then redis.call('PEXPIREAT', key, END, 'NX') end
end

local function count(instance, e, by)
  local field = instance .. '|' .. e
  local total = redis.call('HINCRBY', KEYS[1], field, by)
  if total <= 0 then
    redis.call('HDEL', KEYS[1], field)
  elseif by == 1 and total == 1 then
    -- A field more, so look at a few others: what has ended never outgrows what lives.
    for _, other in ipairs(redis.call('HRANDFIELD', KEYS[1], 4)) do
      if ended(other) then redis.call('HDEL', KEYS[1], other) end
    end
    keep(KEYS[1])
  end
end

local function write(field, packed)
  local key = bucket[field]
  if redis.call('HSET', key, field, packed) == 1 then
    -- The same bargain as for counts.
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

-- old: the live entry that the field has, if any. The entry bears the mark of a name that was only found.
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

-- These names no longer mean what they meant.
local function moved(...)
  redis.call('PUBLISH', ARGV[3], cjson.encode({ 'moved', ... }))
end

-- The root is new, or was moved, or one of the names ARGV[first...last] leads to it that did not.
local function bound(field, root, epoch, first, last)
  local news = { 'bound', epoch, field, root.instance, root.incarnation, root.generation }
  for i = first, last do
    if ARGV[i] ~= field then news[#news + 1] = ARGV[i] end
  end
  redis.call('PUBLISH', ARGV[3], cjson.encode(news))
end

-- Flat: root field, instance, incarnation, generation, made, displaced instance and incarnation.
local function answer(field, root, made, displaced)
  return { 'holds', field, root.instance, root.incarnation, root.generation, made and 1 or 0,
    displaced and displaced.instance or '', displaced and displaced.incarnation or '' }
end

local function same_place(a, b)
  return a.instance == b.instance and a.incarnation == b.incarnation
end

local function proposal(generation)
  return { instance = ARGV[4], incarnation = ARGV[5], generation = generation }
end
`;

/**
 * Moves a root if its generation is still ARGV[6], or makes it anew where it has
 * ended; see AffinityStore.rebind. The one name asked about is the root's.
 */
const REBIND = `
local asked = name(1)
local entry, field, root = resolve(asked)
local again = redirect()
if again then return again end

local expected = tonumber(ARGV[6])
if root and (field ~= asked or root.generation ~= expected) then return answer(field, root, false) end
local after = proposal(expected + 1)
after.found = root and root.found
write_root(asked, root, after)
bound(asked, after, ARGV[9], 10, 10)
return answer(asked, after, true)
`;

/**
 * Starts the lifetimes of a binding and of those names that lead to it anew. The
 * first name that has a binding decides; returns {'none'} where none has.
 */
const RENEW = `
local found = {}
local field, root
for i = 1, NAMES do
  local entry, f, r = resolve(name(i))
  found[i] = { entry, f }
  if not root then field, root = f, r end
end
local again = redirect()
if again then return again end
if not root then return { 'none' } end

write_root(field, root, root)
for i = 1, NAMES do
  local entry = found[i][1]
  if found[i][2] == field and name(i) ~= field then write_pointer(name(i), entry, field, entry.found) end
end
return answer(field, root, false)
`;

/** Removes a name and the root that it leads to. */
const RELEASE = `
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
`;

/**
 * Writes back some roots, and pointers to them from their other names; whatever
 * the store holds already stays, and its lifetime goes on. While the ledger is
 * closed, a later generation takes the place of an earlier one: the store has
 * lost a move. Afterwards somebody may act on what the store holds.
 *
 *   ARGV[4]   JSON: [instance, incarnation, generation, epoch, how many names]
 *             of each root; the names are the fields in that order, root first
 *   returns   {roots to declare, one result for each}: 1 where the root is held
 *             as it was given, '' where nothing was done for want of a
 *             declaration, else what holds
 */
const RESTORE = `
local isClosed = redis.call('HGET', KEYS[2], 'open') ~= '1'
local first, results = 10, {}
for i, known in ipairs(cjson.decode(ARGV[4])) do
  local mine = { instance = known[1], incarnation = known[2], generation = known[3] }
  local last = first + known[5] - 1
  local asked, declared = ARGV[first], #undeclared
  local _, field, root = resolve(asked)
  local leads = {}
  for j = first + 1, last do
    local entry, _, r = resolve(ARGV[j])
    leads[j] = { entry = entry, isLive = r ~= nil or note(ARGV[j]) == 'shared' }
  end
  if #undeclared > declared then
    results[i] = ''
  else
    local holds, isNews = root, false
    if not root or (isClosed and field == asked and root.generation < mine.generation) then
      field, holds, isNews = asked, mine, true
      write_root(asked, root, mine)
    end
    for j = first + 1, last do
      if not leads[j].isLive and ARGV[j] ~= field then
        write_pointer(ARGV[j], leads[j].entry, field)
        isNews = true
      end
    end
    if isNews then bound(field, holds, known[4], first, last) end
    local isAsGiven = field == asked and same_place(holds, mine) and holds.generation == mine.generation
    results[i] = isAsGiven and 1 or answer(field, holds, false)
  end
  first = last + 1
end
return { undeclared, results }
`;

/** Adds up the live roots of each instance: flat pairs. Takes no fields. */
const COUNTS = `
local totals, order = {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if ended(all[i]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    local instance = string.match(all[i], '^([^|]*)|')
    totals[instance] = (totals[instance] or 0) + tonumber(all[i + 1])
  end
end
for instance, total in pairs(totals) do
  order[#order + 1] = instance
  order[#order + 1] = total
end
return order
`;

/**
 * The live roots in some buckets (KEYS[3...], ARGV[7] = 0), of the instance
 * ARGV[4] or of all, and with ARGV[6] = 1 the pointers too:
 * {now, {field, entry...} of the first bucket, ...}
 */
const LIST = `
local pages = { string.format('%.0f', NOW) }
for i = 3, #KEYS do
  local page, all = {}, redis.call('HGETALL', KEYS[i])
  for j = 1, #all, 2 do
    local instance = string.match(all[j + 1], '^=([^|]*)|')
    local isWanted = ARGV[6] == '1'
    if instance then isWanted = ARGV[4] == '' or ARGV[4] == instance end
    if isWanted and not ended(all[j + 1]) then
      page[#page + 1] = all[j]
      page[#page + 1] = all[j + 1]
    end
  end
  pages[i - 1] = page
end
return pages
`;

/** By the name of the command that the client defines for each. */
export const SCRIPTS = {
  gwClaim: SHARED + CLAIM,
  gwRebind: SHARED + REBIND,
  gwRenew: SHARED + RENEW,
  gwRelease: SHARED + RELEASE,
  gwRestore: SHARED + RESTORE,
  gwCounts: SHARED + COUNTS,
  gwList: SHARED + LIST,
} as const;

export type ScriptName = keyof typeof SCRIPTS;
