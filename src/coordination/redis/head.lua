-- The start of all scripts of the view store: the names of their keys and arguments, and the functions that they share.
-- The scripts do what core/view/view-store.ts does; that file explains why. View, policy and health reports are JSON
-- that only the gateways read. What the scripts need of them is stored beside it.
--
--   KEYS[1]    view store (hash): mark, life, since, last, lease, open, survivors, epoch, id, effective, view, ballots,
--              version, policy. `life` is the store generation, `ballots` the version of health reports and configs,
--              `version` that of the policy, `lease` the longest of the gateways, which claim.lua reads too
--   KEYS[2]    replicas (hash): id -> end|joined|restored|acknowledged
--   KEYS[3]    health reports (hash): id -> JSON
--   KEYS[4]    fencing token (string); missing while agents may not be placed. It expires half a lease after the last
--              sync, so that a claim delayed by a stalled server cannot place an agent that gateways have since placed
--              without the store
--   KEYS[5]    changes of views (list), each at|epoch|JSON; earlier releases also log operators' acts there
--   KEYS[6]    leases (hash): id -> seq|leaseUntil|end|since; leaseUntil is 0 without a lease. It is separate from the
--              registration because gateways of an earlier release read that one to the end of the text. They write
--              only the registration: if its end differs from the one here, the gateway counts as holding a lease until
--              the registration ends
--   KEYS[7]    configs (hash): id -> joined|JSON, valid for the registration with the same `joined`. Earlier releases
--              neither write nor remove it, so an entry of an older registration with the same id does not count
--   KEYS[8]    operators' acts (list), each at|epoch|times|firstAt|JSON, in the order of the last time
--   ARGV[1]    a random text, which becomes the mark if there is none
--   ARGV[2]    the caller's lease in milliseconds
--   ARGV[3]    channel on which the scripts publish news
--   ARGV[4]    id of the caller, so that it can ignore its own news
--   ARGV[5..]  see each script
--   constants  MOST_EVENTS, MOST_ACTS, COMPARED_ACTS, REPEATED_WITHIN_MS, OVERDUE_SHARE, MOST_LEASES_CLOSED
--              (core/view/view-store-limits.ts)
--
-- The scripts use Redis's clock. Flags are '1' and ''.
local view_store_key, replicas_key, reports_key, token_key, events_key, leases_key, configs_key, acts_key =
  unpack(KEYS)
local new_mark, caller_lease, news_channel, origin = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

--- @include "../../redis/replication.lua"

local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)
-- The lease of the caller, and in sync.lua the longest of all.
local LEASE = caller_lease

local held = redis.call('HMGET', view_store_key, 'mark', 'life', 'since', 'open', 'survivors', 'epoch', 'id',
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
  mark = new_mark
  write('mark', mark)
end
-- The mark is lost with all data; the replication id changes when only the last writes may be lost.
local CURRENT_GENERATION = mark .. '.' .. replication()

local generation = held[2] or ''
local since = tonumber(held[3] or 0)
local open = held[4] == '1'
local survivors = held[5] == '1'
local epoch = tonumber(held[6] or 0)
local id = held[7] or ''
local effective = held[8] ~= ''
local reports_version = tonumber(held[9] or 1)
local version = tonumber(held[10] or 0)
local last = tonumber(held[11] or 0)
local lease = tonumber(held[12] or caller_lease)

-- Filled by read_replicas. `order` lists the ids, for loops that remove replicas.
local replicas, order = {}, {}
local function read_replicas()
  local leases = {}
  local flat = redis.call('HGETALL', leases_key)
  for i = 1, #flat, 2 do leases[flat[i]] = flat[i + 1] end
  local all = redis.call('HGETALL', replicas_key)
  for i = 1, #all, 2 do
    local replica = all[i]
    local e, joined, restored, acknowledged = string.match(all[i + 1], '^(%d+)|(%d+)|([^|]*)|(.*)$')
    local seq, holds_until, written, begun = string.match(leases[replica] or '', '^(%d+)|(%d+)|(%d+)|(%d+)$')
    if written ~= e then holds_until = e end
    -- A lease granted before the store generation began or the clock was set ends at most one lease after that.
    if begun ~= text(since) then holds_until = math.max(holds_until, since + math.max(LEASE, lease)) end
    order[#order + 1] = replica
    replicas[replica] = { e = tonumber(e), joined = tonumber(joined), restored = restored, acknowledged = acknowledged,
      seq = tonumber(seq or 0), holds_until = tonumber(holds_until) }
  end
  for replica in pairs(leases) do
    if not replicas[replica] then redis.call('HDEL', leases_key, replica) end
  end
end

local function write_replica(replica)
  local r = replicas[replica]
  local packed = table.concat({ text(r.e), text(r.joined), r.restored, r.acknowledged }, '|')
  redis.call('HSET', replicas_key, replica, packed)
  local held_lease = table.concat({ text(r.seq), text(r.holds_until), text(r.e), text(since) }, '|')
  redis.call('HSET', leases_key, replica, held_lease)
end

local function remove_replica(replica)
  redis.call('HDEL', replicas_key, replica)
  redis.call('HDEL', reports_key, replica)
  redis.call('HDEL', leases_key, replica)
  redis.call('HDEL', configs_key, replica)
  replicas[replica] = nil
  reports_version = reports_version + 1
end

local function try_effect(now)
  if effective or not open then return end
  for _, replica in pairs(replicas) do
    if replica.acknowledged ~= id and replica.holds_until >= now then return end
  end
  effective = true
end

local function log(events)
  for _, event in ipairs(events) do
    redis.call('RPUSH', events_key, text(NOW) .. '|' .. text(epoch) .. '|' .. event)
  end
  if #events > 0 then redis.call('LTRIM', events_key, -MOST_EVENTS, -1) end
end

-- As core/view/act-log.ts does.
local function log_acts(acts, kept_ms)
  if #acts == 0 then return end
  local latest = redis.call('LRANGE', acts_key, -COMPARED_ACTS, -1)
  for _, act in ipairs(acts) do
    local times, first_at = 1, text(NOW)
    for i = #latest, 1, -1 do
      local at, repeats, first, json = string.match(latest[i], '^(%d+)|%d+|(%d+)|(%d+)|(.*)$')
      if json == act and NOW - tonumber(at) < REPEATED_WITHIN_MS then
        redis.call('LREM', acts_key, -1, latest[i])
        table.remove(latest, i)
        times, first_at = repeats + 1, first
        break
      end
    end
    local entry = table.concat({ text(NOW), text(epoch), text(times), first_at, act }, '|')
    redis.call('RPUSH', acts_key, entry)
    latest[#latest + 1] = entry
    if #latest > COMPARED_ACTS then table.remove(latest, 1) end
  end
  redis.call('LTRIM', acts_key, -MOST_ACTS, -1)
  -- Few at a time: others follow with the next acts.
  for _ = 1, COMPARED_ACTS do
    local oldest = redis.call('LINDEX', acts_key, 0)
    if tonumber(string.match(oldest or '', '^%d+') or NOW) > NOW - kept_ms then break end
    redis.call('LPOP', acts_key)
  end
end

local function fencing_token()
  return open and effective and id ~= '' and id .. ':' .. generation or ''
end

local function write_fencing_token()
  local token, left = fencing_token(), math.floor(last + lease * OVERDUE_SHARE - NOW)
  if token == '' or left <= 0 then
    redis.call('DEL', token_key)
  else
    redis.call('SET', token_key, token, 'PX', left)
  end
end

-- Writes what has changed and tells the other gateways. urgent: announces urgent news in any case.
local function save(urgent)
  if held[2] ~= generation then write('life', generation) end
  if held[3] ~= text(since) then write('since', text(since)) end
  if held[4] ~= flag(open) then write('open', flag(open)) end
  if held[5] ~= flag(survivors) then write('survivors', flag(survivors)) end
  if held[6] ~= text(epoch) then write('epoch', text(epoch)) end
  if held[7] ~= id then write('id', id) end
  if held[8] ~= flag(effective) then write('effective', flag(effective)) end
  if held[9] ~= text(reports_version) then write('ballots', text(reports_version)) end
  if held[10] ~= text(version) then write('version', text(version)) end
  if #written > 0 then redis.call('HSET', view_store_key, unpack(written)) end

  write_fencing_token()

  local is_news = held[2] ~= generation or held[10] ~= text(version) or held[4] ~= flag(open) or held[7] ~= id
    or held[8] ~= flag(effective)
  if urgent or is_news then
    redis.call('PUBLISH', news_channel, origin .. ' urgent')
  elseif held[9] ~= text(reports_version) then
    redis.call('PUBLISH', news_channel, origin .. ' ballots')
  end
end
