-- Finds or makes the binding of a user, a session, or both, the user first; see AffinityStore.claim. A client address
-- takes the place of a user.
--
-- The outcome depends on how the request names them and on what they hold here. The caller passes the rulings, one
-- letter for each situation (core/evidence.ts).
--
-- The note on a session is `shared`, or lists its previous users, each as the first digits of a digest. If one of them
-- takes the session back, it becomes shared.
--
-- A new name is on probation until it is asked about a second time. Beyond the most names that a pool may have, a new
-- one takes the place of those on probation, the oldest first. If there are none, a claim that would bind an unknown
-- agent is refused; one of a known agent adds its alias all the same, because the agent could not be found by it.
--
--   KEYS[#KEYS]  the view store, if the claim says `rebalance`
--   ARGV[4..5]   the proposed instance and incarnation
--   ARGV[6]      `<rulings>|<most names>|<more>`. more: '' or JSON; `oldest`: an alias to remove if the session becomes
--                an alias; `places`: names on probation, each as {name, since}, that earlier calls reserved;
--                `group`: the group of the agent, see groups.lua; for a log-on, `leaves`: instances at which the
--                binding of an agent who has logged off ends, and `rebalance`: how it ends where an instance has more
--                than its share, see core/rebalance.ts. The others: see head.lua
--   returns      {'holds', ...}, see `answer`, with the letter of the ruling at its end, 1 if a name of it is new, else
--                0, and the names that it replaced; {'no-agent'}; {'full'}; {'stale'}; {'declare', ...}; or
--                {'replace', name, since...}: names on probation, reserved for the next call
--   constants    CLAIMED, GROUPED, JOINED: the letters of these causes (affinity/origin-text.ts);
--                SHARED, MOST_FORMER, DIGITS: the note `shared`, the number of previous users in any other note, and
--                the digits for each (affinity/session-note.ts); RESERVED, AT_ONCE: what is added to the score of a
--                reserved name, and how many are reserved at once; RULING_AT: the position of each situation's letter
--                (core/evidence.ts); HEARD_LEASES (core/rebalance.ts)

--- @include "head.lua"
--- @include "groups.lua"
--- @include "room.lua"
local instance, incarnation = ARGV[4], ARGV[5]
local rulings, most, more = string.match(ARGV[6], '^(%a+)|(%d+)|(.*)$')
most, more = tonumber(most), more ~= '' and cjson.decode(more) or {}
local places, group, rebalance = more.places or {}, more.group, more.rebalance

local function names_held()
  local total, is_kept = count_names()
  if not is_kept then redis.call('SET', held, total, 'PX', 1000) end
  return total
end

local function score(number) return string.format('%.0f', number) end

-- Puts a new name on probation.
local function enter(name, i)
  redis.call('ZADD', newcomers, score(time[1] * 1e6 + time[2] + i), name)
  local last = (NOW - idle_lifetime - QUANTUM) * 1000
  for _, from in ipairs({ 0, RESERVED }) do
    local over = redis.call('ZRANGEBYSCORE', newcomers, score(from), score(from + last), 'LIMIT', 0, 2)
    if #over > 0 then redis.call('ZREM', newcomers, unpack(over)) end
  end
  keep(newcomers)
end

-- Reserves names on probation for the caller's next call: a higher score keeps them from other calls.
local function reserve(except)
  local reserved, is_own = {}, {}
  for _, name in ipairs(except) do is_own[name] = true end
  local all = redis.call('ZRANGEBYSCORE', newcomers, 0, '(' .. RESERVED, 'WITHSCORES', 'LIMIT', 0, AT_ONCE)
  for i = 1, #all, 2 do
    if not is_own[all[i]] then
      redis.call('ZADD', newcomers, score(all[i + 1] + RESERVED), all[i])
      reserved[#reserved + 1] = all[i]
      reserved[#reserved + 1] = score(tonumber(all[i + 1]))
    end
  end
  return reserved
end

-- Is the reserved name still on probation? Its second request may have come meanwhile.
local function is_on_probation(place)
  local name, since = place[1], tonumber(place[2])
  if tonumber(redis.call('ZSCORE', newcomers, name) or 0) ~= since + RESERVED then return false end
  if is_unused_since(name, since) then return true end
  redis.call('ZREM', newcomers, name)
  return false
end

-- Gives back the reserved names whose places are not needed.
local function give_back()
  for _, place in ipairs(places) do
    redis.call('ZADD', newcomers, 'XX', 'LT', place[2], place[1])
  end
end

-- The binding to make for a root that has none.
local function proposal(field)
  local generation, found = last_released(field)
  return { instance = instance, incarnation = incarnation, generation = generation + 1, found = found }
end

-- The user takes over the place of its session, and so has been there for as long as the session.
local function joined(session_root, root)
  local was = origin_of(session_root, root)
  local since = was and tonumber(string.match(was, '^%d+'))
  return origin(since or NOW, epoch, reason == '' and '' or JOINED .. string.sub(reason, 2))
end

local user, session = name(1), name(2)
if not session and string.sub(user, 1, 1) == 's' then user, session = nil, user end
local user_entry, user_field, user_root, entry, field, root
if user then user_entry, user_field, user_root = resolve(user) end
if session then entry, field, root = resolve(session) end
local again = redirect()
if again then return again end

local leaves = {}
for _, id in ipairs(more.leaves or {}) do leaves[id] = true end

-- Does `isBetterAt` in core/rebalance.ts: would the instance still have as many agents for its weight as the other?
local function is_better_at(from, to)
  local here, there = rebalance.weights[from] or 0, rebalance.weights[to] or 0
  if from == to or here == 0 or there == 0 then return false end
  local bound = bound_agents()
  return (bound[from] or 0) / here > ((bound[to] or 0) + 1) / there
end

-- Has every gateway heard of a log-off that the store knows of since then? The scripts of the view store, in every
-- release, note the longest lease of the pool's gateways.
local function is_heard(since)
  local longest = tonumber(redis.call('HGET', KEYS[#KEYS], 'lease') or '')
  if not longest then return false end
  return NOW - since >= rebalance.heardMs + math.max(0, longest - rebalance.leaseMs) * HEARD_LEASES
end

-- May a log-on end this binding, so that it makes a new one elsewhere? Only if the agent has logged off. Meaningless if
-- a bucket is not declared, see `redirect`.
local function may_leave(field, root)
  if not root then return false end
  local left_at, told_at = logged_off(field, root)
  if not left_at then return false end
  if leaves[root.instance] then return true end
  if not rebalance or not is_heard(told_at) then return false end
  if not group then return is_better_at(root.instance, instance) end
  local place = place_in_group(group, field, root.instance)
  return place ~= nil and place.instance ~= root.instance
end
local function leave(field, root)
  count(root.instance, root.e, -1)
  redis.call('HDEL', bucket[field], field, '!!' .. field)
  redis.call('DEL', held)
end
local user_leaves = may_leave(user_field, user_root)
local other_leaves = field ~= user_field and may_leave(field, root)
again = redirect()
if again then return again end
if user_leaves then leave(user_field, user_root) end
if other_leaves then leave(field, root) end
if user_leaves or other_leaves then
  if user then user_entry, user_field, user_root = resolve(user) end
  if session then entry, field, root = resolve(session) end
end

local is_same = root and user_root and field == user_field
local noted = session and not is_same and note(session, '')
local session_holds = 'nothing'
if noted == SHARED then session_holds = 'shared'
elseif is_same then session_holds = 'same'
elseif root then session_holds = field == session and 'itself' or entry.found and 'found-other' or 'other' end
local user_holds = user_root and (user_root.found and 'found' or 'binding') or 'nothing'
local at = RULING_AT[user_holds .. ' ' .. session_holds]
local by, is_found = string.sub(rulings, at, at), string.sub(rulings, 1, 1) == 'f'
if by == 'n' then
  if noted == SHARED then write_note(session, '', noted) end
  return { 'no-agent' }
end

local makes = by == 's' and not root or by ~= 's' and by ~= 't' and by ~= 'g' and not user_root
if group and makes then
  local place, is_there = place_in_group(group, '')
  again = redirect()
  if again then return again end
  if place then instance, incarnation = place.instance, place.incarnation end
  if is_there and string.sub(reason, 1, 1) == CLAIMED then reason = GROUPED .. string.sub(reason, 2) end
end

local new, is_known = {}, user_root
if user and by ~= 's' and not user_entry then new[1] = user end
if session and by ~= 'u' and not entry then new[#new + 1] = session end
if by == 's' or by == 't' or by == 'g' then is_known = root end

local replaced = {}
if #new > 0 then
  -- An operator may have lowered the limit, so not more give way than come.
  local over = math.min(#new, names_held() + #new - most)
  for _, place in ipairs(places) do
    if #replaced < over and is_on_probation(place) then replaced[#replaced + 1] = place[1] end
  end
  if #replaced < over then
    local more_places = reserve({ user or '', session or '', user_field or '', field or '' })
    if #more_places > 0 then return { 'replace', unpack(more_places) } end
    if not is_known then
      give_back()
      return { 'full' }
    end
  end
  for _, name in ipairs(replaced) do
    remove(name, read(name))
    redis.call('ZREM', newcomers, name)
  end
  if #replaced > 0 then moved(unpack(replaced)) end
  give_back()
end
if noted == SHARED then write_note(session, '', noted) end

if by == 'l' and session_holds == 'other' then
  local function digest(field) return string.sub(redis.sha1hex(field), 1, DIGITS) end
  local former, mine = noted or '', digest(user)
  for i = 1, #former, DIGITS do
    if string.sub(former, i, i + DIGITS - 1) == mine then by = 'u' end
  end
  if by == 'u' then
    remove(session, entry)
    write_note(session, '', SHARED)
    moved(session)
    entry, field, root = nil, nil, nil
  else
    write_note(session, '', string.sub(former .. digest(field), -MOST_FORMER * DIGITS))
  end
end

local made, is_news, displaced, leads, holds = false, false, nil, nil, nil
if by == 's' then
  leads, holds = field, root
  if root then
    write_root(field, root, root)
    if field ~= session then write_pointer(session, entry, field, entry.found) end
    if user_root and not same_place(user_root, root) then displaced = user_root end
  else
    -- An operator may have ended the binding of the session's user.
    leads = entry and not read(entry.root) and entry.root or session
    holds, made, is_news = proposal(leads), true, true
    write_root(leads, nil, holds, origin(NOW, epoch, reason))
    if leads ~= session then write_pointer(session, entry, leads, entry.found) end
  end
else
  if by == 't' or by == 'g' then
    leads, is_news = user_field or user, true
    local held_generation = user_root and user_root.generation or last_released(leads)
    local generation = math.max(held_generation, root.generation) + 1
    holds = { instance = root.instance, incarnation = root.incarnation, generation = generation, found = is_found }
    if user_root and not same_place(user_root, root) then displaced = user_root end
    write_root(leads, user_root, holds, joined(field, root))
  elseif user_root then
    leads, holds = user_field, user_root
    holds = { instance = holds.instance, incarnation = holds.incarnation, generation = holds.generation,
      found = holds.found and is_found }
    write_root(leads, user_root, holds)
  else
    leads, holds, made, is_news = user, proposal(user), true, true
    holds.found = is_found
    write_root(user, nil, holds, origin(NOW, epoch, reason))
  end
  if leads ~= user then write_pointer(user, user_entry, leads, user_entry.found) end
  if session and by == 'u' then
    if root and field ~= leads and not same_place(holds, root) then displaced = root end
  elseif session and session ~= leads then
    is_news = is_news or not entry or entry.root ~= leads
    write_pointer(session, entry, leads, by == 'f' or by == 'g' or (by == 'k' and entry.found))
    if root and field ~= leads then
      if not same_place(holds, root) then displaced = root end
      moved(session)
    end
  end
end

-- At the end, because Redis checks its memory only before the first write, and not for commands that free some.
local asked_again = { leads }
if user_entry then asked_again[2] = user end
if entry then asked_again[#asked_again + 1] = session end
settle(asked_again)
local added = #new - #replaced
for i, name in ipairs(new) do enter(name, i) end
local oldest = more.oldest
if oldest and new[#new] == session and session then
  local dropped = read(oldest)
  if dropped and dropped.root == leads then
    remove(oldest, dropped)
    redis.call('ZREM', newcomers, oldest)
    added = added - 1
  end
end
if #new > 0 then redis.call('INCRBY', held, added) end
-- The root of a known session was made again, so the names are counted again.
if by == 's' and made and leads ~= session then redis.call('DEL', held) end

if group then note_member(group, leads, holds.instance, made) end

if is_news then
  local first, last = 1, names_asked
  if by == 's' then first = last end
  if by == 'u' then last = first end
  bound(leads, holds, epoch, first, last, #new > 0)
end
local reply = answer(leads, holds, made, displaced)
reply[#reply + 1] = by
reply[#reply + 1] = #new > 0 and 1 or 0
for _, name in ipairs(replaced) do reply[#reply + 1] = name end
return reply
