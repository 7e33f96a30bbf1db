-- Registers a replica, takes its health report and acknowledgement, and returns what it does not know yet; see
-- ViewStore.sync.
--
--   ARGV[5]       how long a new replica waits for its first lease, in milliseconds
--   ARGV[6]       the replica
--   ARGV[7..8]    epoch and id of the view that it has adopted
--   ARGV[9]       whether its lease is valid
--   ARGV[10]      the store generation to which it has written its bindings back
--   ARGV[11]      its health report
--   ARGV[12]      version of the reports that it knows
--   ARGV[13]      version of the policy that it knows
--   ARGV[14]      the store generation from which it knows those
--   ARGV[15..17]  epoch, id and JSON of its view; the JSON is '' if the caller does not send it
--   ARGV[18..19]  version and JSON of its policy, likewise
--   ARGV[20]      channel on which changes of bindings are published
--   ARGV[21]      number of the request, greater than in all earlier ones of the replica
--   ARGV[22]      its configuration; '' if it registers none. The others: see head.lua
--   returns       now, store generation, open, granted, epoch, view id, effective, fencing token, wants state, version
--                 of the reports, number of replicas, keeps its lease; then pairs of a name and what the caller does
--                 not know: ballots (the reports, as flat pairs of replica and report) and configs (likewise), view,
--                 policy

--- @include "head.lua"
local join_ms, REPLICA, adopted_epoch, ADOPTED = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]), ARGV[8]
local says_held, restored_generation, REPORT = ARGV[9] == '1', ARGV[10], ARGV[11]
local known_reports, known_version, known_generation = tonumber(ARGV[12]), tonumber(ARGV[13]), ARGV[14]
local own_view_epoch, own_view_id, own_view = tonumber(ARGV[15]), ARGV[16], ARGV[17]
local own_policy_version, own_policy = tonumber(ARGV[18]), ARGV[19]
local bindings_channel, seq, own_config = ARGV[20], tonumber(ARGV[21]), ARGV[22]
-- Fails early if the account may not publish, so that no script fails halfway through its writes.
if known_generation ~= CURRENT_GENERATION then
  redis.call('PUBLISH', news_channel, origin .. ' probe')
  -- A message about a move of no names.
  redis.call('PUBLISH', bindings_channel, '["moved"]')
end

read_replicas()

-- Gateways may have different leases, for example during a change of the option. All of them wait for the longest.
if #order > 0 then LEASE = math.max(LEASE, lease) end
if held[12] ~= text(LEASE) then write('lease', text(LEASE)) end
lease = LEASE

local stepped = #order > 0 and (NOW < last or NOW > last + LEASE * OVERDUE_SHARE)
last = NOW
write('last', text(NOW))
if generation ~= CURRENT_GENERATION or stepped then
  generation, since, open, survivors = CURRENT_GENERATION, NOW, false, #order > 0 and (open or survivors)
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

local wants_state = false
local mine = replicas[REPLICA]
local overtaken = mine and seq <= mine.seq
if not overtaken then
  if open then
    if adopted_epoch > epoch then
      epoch = adopted_epoch + 1
      id, effective = text(epoch) .. '.' .. generation, false
    end
  else
    if adopted_epoch > epoch and own_view ~= '' and own_view_id == ADOPTED then
      epoch, id, effective = own_view_epoch, own_view_id, false
      write('view', own_view)
    end
    if known_version > version and own_policy ~= '' and own_policy_version == known_version then
      version = known_version
      write('policy', own_policy)
    end
    wants_state = adopted_epoch > epoch or known_version > version
  end

  local joined = mine and mine.joined or NOW
  if joined > NOW then joined = NOW - join_ms end
  local holds_until = 0
  if says_held then holds_until = math.max(mine and mine.holds_until or NOW + LEASE, NOW) end
  mine = {
    e = NOW + LEASE,
    joined = joined,
    restored = wants_state and '' or restored_generation,
    acknowledged = ADOPTED,
    seq = seq,
    holds_until = holds_until,
  }
  replicas[REPLICA] = mine
  if redis.call('HGET', reports_key, REPLICA) ~= REPORT then
    redis.call('HSET', reports_key, REPLICA, REPORT)
    reports_version = reports_version + 1
  end
  -- `false` if there is none, because HGET returns that for a missing field.
  local config = own_config ~= '' and text(mine.joined) .. '|' .. own_config
  if redis.call('HGET', configs_key, REPLICA) ~= config then
    if config then redis.call('HSET', configs_key, REPLICA, config) else redis.call('HDEL', configs_key, REPLICA) end
    reports_version = reports_version + 1
  end
end

local count, all_restored = 0, true
for _, replica in pairs(replicas) do
  count = count + 1
  if replica.restored ~= generation then all_restored = false end
end
if not open and all_restored and (survivors or waited) then open = true end
if NOW >= since + LEASE * MOST_LEASES_CLOSED then open = true end

local may_hold = says_held
if open then may_hold = NOW - mine.joined >= join_ms and restored_generation == generation end
if overtaken then may_hold = false end
local granted = may_hold and ADOPTED == id
if granted then mine.holds_until = NOW + LEASE end
if not overtaken then write_replica(REPLICA) end
try_effect(NOW)
save(false)

local is_new = known_generation ~= generation
local reply = { text(NOW), generation, flag(open), flag(granted), text(epoch), id, flag(effective), fencing_token(),
  flag(wants_state), text(reports_version), text(count), flag(may_hold and not granted) }
if is_new or known_reports ~= reports_version then
  reply[#reply + 1] = 'ballots'
  reply[#reply + 1] = redis.call('HGETALL', reports_key)
  local all, configs = redis.call('HGETALL', configs_key), {}
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
  reply[#reply + 1] = redis.call('HGET', view_store_key, 'view') or ''
end
if is_new or known_version ~= version or (open and restored_generation ~= generation) then
  reply[#reply + 1] = 'policy'
  reply[#reply + 1] = redis.call('HGET', view_store_key, 'policy') or ''
end
return reply
