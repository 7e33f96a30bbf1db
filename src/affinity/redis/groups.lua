-- Where the groups of a pool are. To be included after head.lua; does what `placeInGroup` in core/groups.ts does.
--
--   groups       (hash): group -> `<instance>|<size>|<root field of the last member who came>|<end>`
--   members      (set): the root fields of the members who came since the group was placed
--   constants    MOST_MEMBERS: a group with more members counts as one that has a member where it is

-- group: what the caller passes, see `GroupProposal`; nil for an agent without a group.
local function held_group(name)
  local packed = redis.call('HGET', groups, name)
  if not packed or ended(packed) then return nil end
  local instance, size, last = string.match(packed, '^([^|]*)|(%d+)|(.*)|%d+$')
  return { instance = instance, size = tonumber(size), last = last }
end

-- The number of agents of each instance.
local function bound_agents()
  local bound, all = {}, redis.call('HGETALL', counts)
  for i = 1, #all, 2 do
    local at = string.match(all[i], '^([^|]*)|')
    if not ended(all[i]) then bound[at] = (bound[at] or 0) + tonumber(all[i + 1]) end
  end
  return bound
end

-- The preferred place among those with room for the whole group; without one, the place with most room. leaving: where
-- the agent is bound who may leave; nil for others.
local function best_place(group, own, leaving)
  local load, size = {}, math.max(1, group.size, own and own.size or 0)
  if group.isByLoad or group.isLimited then
    local bound, all = bound_agents(), redis.call('HGETALL', groups)
    if leaving and bound[leaving] then bound[leaving] = bound[leaving] - 1 end
    for i = 1, #all, 2 do
      if all[i] ~= group.name and not ended(all[i + 1]) then
        local at, expected = string.match(all[i + 1], '^([^|]*)|(%d+)')
        load[at] = (load[at] or 0) + tonumber(expected)
      end
    end
    for at, total in pairs(bound) do load[at] = math.max(load[at] or 0, total) end
  end
  local best, best_room, best_share = nil, -math.huge, math.huge
  for _, place in ipairs(group.places) do
    local total = (load[place.instance] or 0) + size
    local room = place.most == 0 and 0 or math.min(0, place.most - total)
    local share = group.isByLoad and total / place.weight or 0
    if room > best_room or (room == best_room and share < best_share) then
      best, best_room, best_share = place, room, share
    end
  end
  return best
end

-- Is a member other than `asked` bound to the place? The buckets of members must be declared first: that of the last
-- one who came, and if no declared one is there, all. One that was declared may do, since others may come all the time.
local function is_occupied(place, last, asked)
  if redis.call('SCARD', members) > MOST_MEMBERS then return true end
  local missing, is_second = {}, false
  for _, field in ipairs(redis.call('SMEMBERS', members)) do
    if not bucket[field] then
      missing[#missing + 1] = field
    elseif field ~= asked then
      local root = read(field)
      is_second = true
      if root and root.instance == place.instance
        and (place.incarnation == '' or root.incarnation == '' or root.incarnation == place.incarnation) then
        return true
      end
    end
  end
  if #missing > 0 and not is_second and last ~= asked then missing = { last } end
  for _, field in ipairs(missing) do undeclared[#undeclared + 1] = field end
  return false
end

-- Where to place the agent with the root field `asked`, and whether the group is there. Meaningless if a bucket is not
-- declared, see `redirect`.
-- leaving: see `best_place`.
local function place_in_group(group, asked, leaving)
  local own = held_group(group.name)
  local best, here = best_place(group, own, leaving), nil
  for _, some in ipairs({ group.places, group.closed }) do
    for _, place in ipairs(some) do
      if place.instance == (own and own.instance or group.known) then here = place end
    end
  end
  if not here or best and here.instance == best.instance then return best, here ~= nil end
  if not own or is_occupied(here, own.last, asked) then return here, true end
  return best, false
end

-- Notes that the agent is bound to the instance. One who is bound elsewhere than the group changes nothing.
local function note_member(group, field, at, is_placed)
  local own = held_group(group.name)
  local is_here = own and own.instance == at
  if not is_here then
    if not is_placed then return end
    redis.call('DEL', members)
  end
  redis.call('SADD', members, field)
  keep(members)
  local size = math.max(group.size, redis.call('SCARD', members))
  local added = redis.call('HSET', groups, group.name, string.format('%s|%d|%s|%s', at, size, field, END))
  if added > 0 then
    -- As in `tally`.
    local some = redis.call('HRANDFIELD', groups, 4, 'WITHVALUES')
    for i = 1, #some, 2 do
      if ended(some[i + 1]) then redis.call('HDEL', groups, some[i]) end
    end
  end
  keep(groups)
end
