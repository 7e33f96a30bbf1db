import { REPLICATION } from '../../redis/keys.ts';

/**
 * The ledger's steps as scripts: what core/view/view-store.ts does, which is
 * where the reasons stand. View, policy and opinions are JSON that only the
 * gateways read; what the rules need of them stands beside it.
 *
 *   KEYS[1]   ledger (hash): mark, life, since, last, lease, open, survivors, epoch, id,
 *             effective, view, ballots, version, policy
 *   KEYS[2]   replicas (hash): id -> end|joined|restored|acknowledged
 *   KEYS[3]   opinions (hash): id -> JSON
 *   KEYS[4]   fence (string); missing while agents may not be placed. It expires half a lease after the last
 *             sync: a claim that waited in a server that stood still must not place an agent that
 *             gateways have placed without the store meanwhile
 *   KEYS[5]   events (list), each at|epoch|JSON
 *   KEYS[6]   leases (hash): id -> seq|leaseUntil|end|since; leaseUntil is 0 without a lease. Apart from the registration, whose last part runs to the end of
 *             the text for gateways of an earlier release. They write the registration alone: where its end is not the
 *             one written here, the gateway counts as holding a lease until the registration ends
 *   KEYS[7]   configs (hash): id -> joined|JSON, of the registration with that `joined`. Releases before it neither write
 *             nor remove it, so what is left there of an earlier registration of the same name does not count.
 *   ARGV[1]   a random text, for the mark where there is none
 *   ARGV[2]   lease in milliseconds
 *   ARGV[3]   channel that news are published on
 *   ARGV[4]   who calls, so as not to take its own news for another's
 *   ARGV[5..] see each script
 *
 * Time is Redis's own. Flags are '1' and ''.
 */
const SHARED = `
${REPLICATION}
local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)
local LEASE = tonumber(ARGV[2])

local held = redis.call('HMGET', KEYS[1], 'mark', 'life', 'since', 'open', 'survivors', 'epoch', 'id',
  'effective', 'ballots', 'version', 'last', 'lease')
local written = {}
local function write(field, value)
  written[#written + 1] = field
  written[#written + 1] = value
end

local function text(number) return string.format('%.0f', number) end
local function flag(value) return value and '1' or '' end

local mark = held[1]
if not mark then
  mark = ARGV[1]
  write('mark', mark)
end
-- The mark is lost with the data; the history changes where only the last writes may be.
local LIFE = mark .. '.' .. replication()

local life = held[2] or ''
local since = tonumber(held[3] or 0)
local open = held[4] == '1'
local survivors = held[5] == '1'
local epoch = tonumber(held[6] or 0)
local id = held[7] or ''
local effective = held[8] ~= ''
local ballots = tonumber(held[9] or 1)
local version = tonumber(held[10] or 0)
local last = tonumber(held[11] or 0)
local lease = tonumber(held[12] or ARGV[2])

-- Read by those scripts that need it; 'order' is for walking.
local replicas, order = {}, {}
local function read_replicas()
  local leases = {}
  local flat = redis.call('HGETALL', KEYS[6])
  for i = 1, #flat, 2 do leases[flat[i]] = flat[i + 1] end
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local replica = all[i]
    local e, joined, restored, acknowledged = string.match(all[i + 1], '^(%d+)|(%d+)|([^|]*)|(.*)$')
    local seq, holds_until, written, begun = string.match(leases[replica] or '', '^(%d+)|(%d+)|(%d+)|(%d+)$')
    if written ~= e then holds_until = e end
    -- Whatever was granted before a life began, or the clock was set, ends a lease after that at the latest.
    if begun ~= text(since) then holds_until = math.max(holds_until, since + math.max(LEASE, lease)) end
    order[#order + 1] = replica
    replicas[replica] = { e = tonumber(e), joined = tonumber(joined), restored = restored, acknowledged = acknowledged,
      seq = tonumber(seq or 0), holds_until = tonumber(holds_until) }
  end
  for replica in pairs(leases) do
    if not replicas[replica] then redis.call('HDEL', KEYS[6], replica) end
  end
end

local function write_replica(replica)
  local r = replicas[replica]
  local packed = table.concat({ text(r.e), text(r.joined), r.restored, r.acknowledged }, '|')
  redis.call('HSET', KEYS[2], replica, packed)
  redis.call('HSET', KEYS[6], replica, table.concat({ text(r.seq), text(r.holds_until), text(r.e), text(since) }, '|'))
end

local function remove_replica(replica)
  redis.call('HDEL', KEYS[2], replica)
  redis.call('HDEL', KEYS[3], replica)
  redis.call('HDEL', KEYS[6], replica)
  redis.call('HDEL', KEYS[7], replica)
  replicas[replica] = nil
  ballots = ballots + 1
end

local function try_effect(now)
  if effective or not open then return end
  for _, replica in pairs(replicas) do
    if replica.acknowledged ~= id and replica.holds_until >= now then return end
  end
  effective = true
end

local function log(first)
  for i = first, #ARGV do redis.call('RPUSH', KEYS[5], text(NOW) .. '|' .. text(epoch) .. '|' .. ARGV[i]) end
  if #ARGV >= first then redis.call('LTRIM', KEYS[5], -1000, -1) end
end

local function fence()
  return open and effective and id ~= '' and id .. ':' .. life or ''
end

local function write_fence()
  local now, left = fence(), math.floor(last + lease / 2 - NOW)
  if now == '' or left <= 0 then redis.call('DEL', KEYS[4]) else redis.call('SET', KEYS[4], now, 'PX', left) end
end

-- Writes what has changed, and tells the others. urgent: even if nothing of the below has.
local function save(urgent)
  if held[2] ~= life then write('life', life) end
  if held[3] ~= text(since) then write('since', text(since)) end
  if held[4] ~= flag(open) then write('open', flag(open)) end
  if held[5] ~= flag(survivors) then write('survivors', flag(survivors)) end
  if held[6] ~= text(epoch) then write('epoch', text(epoch)) end
  if held[7] ~= id then write('id', id) end
  if held[8] ~= flag(effective) then write('effective', flag(effective)) end
  if held[9] ~= text(ballots) then write('ballots', text(ballots)) end
  if held[10] ~= text(version) then write('version', text(version)) end
  if #written > 0 then redis.call('HSET', KEYS[1], unpack(written)) end

  write_fence()

  if urgent or held[2] ~= life or held[10] ~= text(version) or held[4] ~= flag(open) or held[7] ~= id or held[8] ~= flag(effective) then
    redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' urgent')
  elseif held[9] ~= text(ballots) then
    redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' ballots')
  end
end
`;

/**
 *   ARGV[5]   joinMs
 *   ARGV[6]   replica
 *   ARGV[7,8] epoch and id of the view that it has adopted
 *   ARGV[9]   its lease holds
 *   ARGV[10]  the life for which its bindings are written back
 *   ARGV[11]  its opinion
 *   ARGV[12]  state of the ballots that it knows
 *   ARGV[13]  version of the policy that it knows
 *   ARGV[14]  the life in which it learnt those
 *   ARGV[15..17] epoch, id and JSON of its view; the JSON is '' where it is not given
 *   ARGV[18,19] version and JSON of its policy, the same
 *   ARGV[20]  channel on which claims are told of
 *   ARGV[21]  number of the request, greater than in all earlier ones of the replica
 *   ARGV[22]  its configuration; '' where it registers none
 */
const SYNC = `
-- A user who may not publish is refused here, before a step that tells of itself leaves half of it behind.
if ARGV[14] ~= LIFE then
  redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' probe')
  -- In the words of a move: no names were.
  redis.call('PUBLISH', ARGV[20], '["moved"]')
end

local REPLICA, ADOPTED, OPINION = ARGV[6], ARGV[8], ARGV[11]
local adopted_epoch = tonumber(ARGV[7])
read_replicas()

-- Gateways may be configured with different leases, as while that is being changed: all wait for the longest.
if #order > 0 then LEASE = math.max(LEASE, lease) end
if held[12] ~= text(LEASE) then write('lease', text(LEASE)) end
lease = LEASE

local stepped = #order > 0 and (NOW < last or NOW > last + LEASE / 2)
last = NOW
write('last', text(NOW))
if life ~= LIFE or stepped then
  life, since, open, survivors = LIFE, NOW, false, #order > 0 and (open or survivors)
  for _, replica in ipairs(order) do
    local r = replicas[replica]
    r.e, r.restored = math.min(r.e, NOW + LEASE), ''
    r.holds_until = NOW + LEASE
    write_replica(replica)
  end
end
local waited = NOW >= since + LEASE

if open or waited then
  for _, replica in ipairs(order) do
    local r = replicas[replica]
    if r.e <= NOW then remove_replica(replica) end
  end
end

local known_version = tonumber(ARGV[13])
local wants_state = false
local seq = tonumber(ARGV[21])
local mine = replicas[REPLICA]
local overtaken = mine and seq <= mine.seq
if not overtaken then
  if open then
    if adopted_epoch > epoch then
      epoch = adopted_epoch + 1
      id, effective = text(epoch) .. '.' .. life, false
    end
  else
    if adopted_epoch > epoch and ARGV[17] ~= '' and ARGV[16] == ADOPTED then
      epoch, id, effective = tonumber(ARGV[15]), ARGV[16], false
      write('view', ARGV[17])
    end
    if known_version > version and ARGV[19] ~= '' and ARGV[18] == ARGV[13] then
      version = known_version
      write('policy', ARGV[19])
    end
    wants_state = adopted_epoch > epoch or known_version > version
  end

  local joined = mine and mine.joined or NOW
  if joined > NOW then joined = NOW - tonumber(ARGV[5]) end
  local holds_until = 0
  if ARGV[9] == '1' then holds_until = math.max(mine and mine.holds_until or NOW + LEASE, NOW) end
  mine = {
    e = NOW + LEASE,
    joined = joined,
    restored = wants_state and '' or ARGV[10],
    acknowledged = ADOPTED,
    seq = seq,
    holds_until = holds_until,
  }
  replicas[REPLICA] = mine
  if redis.call('HGET', KEYS[3], REPLICA) ~= OPINION then
    redis.call('HSET', KEYS[3], REPLICA, OPINION)
    ballots = ballots + 1
  end
  -- false is also how a missing field is read.
  local config = ARGV[22] ~= '' and text(mine.joined) .. '|' .. ARGV[22]
  if redis.call('HGET', KEYS[7], REPLICA) ~= config then
    if config then redis.call('HSET', KEYS[7], REPLICA, config) else redis.call('HDEL', KEYS[7], REPLICA) end
    ballots = ballots + 1
  end
end

local count, all_heard = 0, true
for _, replica in pairs(replicas) do
  count = count + 1
  if replica.restored ~= life then all_heard = false end
end
if not open and all_heard and (survivors or waited) then open = true end
if NOW >= since + LEASE * 10 then open = true end

local may_hold = ARGV[9] == '1'
if open then may_hold = NOW - mine.joined >= tonumber(ARGV[5]) and ARGV[10] == life end
if overtaken then may_hold = false end
local granted = may_hold and ADOPTED == id
if granted then mine.holds_until = NOW + LEASE end
if not overtaken then write_replica(REPLICA) end
try_effect(NOW)
save(false)

local is_new = ARGV[14] ~= life
local reply = { text(NOW), life, flag(open), flag(granted), text(epoch), id, flag(effective), fence(),
  flag(wants_state), text(ballots), text(count), flag(may_hold and not granted) }
if is_new or tonumber(ARGV[12]) ~= ballots then
  reply[#reply + 1] = 'ballots'
  reply[#reply + 1] = redis.call('HGETALL', KEYS[3])
  local all, configs = redis.call('HGETALL', KEYS[7]), {}
  for i = 1, #all, 2 do
    local of, json = string.match(all[i + 1], '^(%d+)|(.*)$')
    if replicas[all[i]] and text(replicas[all[i]].joined) == of then
      configs[#configs + 1] = all[i]
      configs[#configs + 1] = json
    end
  end
  reply[#reply + 1] = 'configs'
  reply[#reply + 1] = configs
end
if ADOPTED ~= id then
  reply[#reply + 1] = 'view'
  reply[#reply + 1] = redis.call('HGET', KEYS[1], 'view') or ''
end
if is_new or known_version ~= version or (open and ARGV[10] ~= life) then
  reply[#reply + 1] = 'policy'
  reply[#reply + 1] = redis.call('HGET', KEYS[1], 'policy') or ''
end
return reply
`;

/**
 *   ARGV[5]   id of the view that this one was made from
 *   ARGV[6..8] epoch, id and JSON of the new one
 *   ARGV[9..] events
 */
const PROPOSE = `
if life ~= LIFE or not open or not effective or ARGV[5] ~= id then return 0 end
epoch, id, effective = tonumber(ARGV[6]), ARGV[7], false
write('view', ARGV[8])
log(9)
save(false)
return 1
`;

/**
 *   ARGV[5]   version of the policy that this one was made from
 *   ARGV[6,7] version and JSON of the new one
 *   ARGV[8..] events
 */
const DECREE = `
if life ~= LIFE or not open or tonumber(ARGV[5]) ~= version then return 0 end
version = tonumber(ARGV[6])
write('policy', ARGV[7])
log(8)
save(true)
return 1
`;

/** ARGV[5]: replica */
const LEAVE = `
read_replicas()
if not replicas[ARGV[5]] then return 0 end
remove_replica(ARGV[5])
-- By the clock of the last sync: the next one sees whether the clock was set meanwhile.
try_effect(last)
save(false)
return 1
`;

/** ARGV[5]: how many of the last events */
const EVENTS = `
return redis.call('LRANGE', KEYS[5], -tonumber(ARGV[5]), -1)
`;

/** What the server knows of its replicas; '' where the account may not ask. */
const REPLICAS = `
local info = redis.pcall('INFO', 'replication')
return type(info) == 'string' and info or ''
`;

/**
 * By script, so that on a cluster it goes the way of all other news.
 *
 *   ARGV[5]   what the others are told
 */
const TELL = `
return redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' ' .. ARGV[5])
`;

/** By the name of the command that the client defines for each. */
export const VIEW_STORE_SCRIPTS = {
  gwSync: SHARED + SYNC,
  gwPropose: SHARED + PROPOSE,
  gwDecree: SHARED + DECREE,
  gwLeave: SHARED + LEAVE,
  gwEvents: EVENTS,
  gwTell: TELL,
  gwReplicas: REPLICAS,
} as const;

export type ViewStoreScript = keyof typeof VIEW_STORE_SCRIPTS;
