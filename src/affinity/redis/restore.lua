-- Writes back some roots, and pointers to them from their other names. What the store already holds stays, and keeps
-- its lifetime. But an agent who was served without the store has not logged off: that binding gets its lifetime back.
--
-- A binding that has ended by a release or a log-off is not written back by a gateway that has missed that.
--
-- While the view store is closed, a later generation replaces an earlier one, because the store has lost a move. Once
-- it is open, gateways may have acted on what the store holds, so that stays.
--
-- An entry of a snapshot counts only while the view store is closed, and never against a gateway that has lived: that
-- one replaces it, whatever its generation. Of two snapshots, the one that knew the binding later counts. For that, a
-- root from a snapshot has a mark (field `!?` and the root) for as long as the view store is closed.
--
--   KEYS[2]   the view store, in place of the fencing token
--   ARGV[4]   JSON: [instance, incarnation, generation, epoch, how many names, reason, milliseconds since it holds,
--             milliseconds since the agent used it, 1 if the agent was served without the store, else 0, and for an
--             entry of a snapshot the milliseconds since its gateway knew it] of each root; the names are the fields in
--             that order, the root first. The others: see head.lua
--   returns   {roots to declare, one result for each entry}: 1 if the store holds the root as given, 0 if it has ended,
--             '' if nothing was done because a declaration is missing, else what holds, see `answer`
--   constants SHARED (affinity/session-note.ts)

--- @include "head.lua"
local view_store, entries = KEYS[2], cjson.decode(ARGV[4])
local is_closed = redis.call('HGET', view_store, 'open') ~= '1'
local closed_since = redis.call('HGET', view_store, 'since') or ''
local RECALLED, MARK_MS = '?', 600000
local first, results = 1, {}

-- When its gateway knew the root that was written from a snapshot since the view store is closed, and that no living
-- gateway has confirmed; else nil.
local function recalled(field)
  local since, at = string.match(note(field, RECALLED) or '', '^(%d+)|(%d+)$')
  if since == closed_since then return tonumber(at) end
end

for i, known in ipairs(entries) do
  local mine = { instance = known[1], incarnation = known[2], generation = known[3] }
  local last = first + known[5] - 1
  local asked, declared = fields[first], #undeclared
  local _, field, root = resolve(asked)
  local leads = {}
  for j = first + 1, last do
    local _, _, r = resolve(fields[j])
    leads[j] = { is_live = r ~= nil or note(fields[j], '') == SHARED }
  end
  local was_served, knew = known[9] == 1, known[10] and NOW - known[10]
  local was_recalled = root and is_closed and field == asked and recalled(asked)
  local released = last_released(asked)
  if #undeclared > declared then
    results[i] = ''
  elseif not root and not was_served and released > 0 and mine.generation <= released then
    results[i] = 0
  elseif knew and not is_closed then
    results[i] = root and answer(field, root, false) or 0
  else
    if root and was_served and logged_off(field, root) then write_root(field, root, root) end
    local holds, is_news = root, false
    local replaces = root and is_closed and field == asked and root.generation < mine.generation
    if knew then
      replaces = replaces and was_recalled
      if was_recalled and was_recalled < knew and not same_place(root, mine) then
        replaces, mine.generation = true, math.max(mine.generation, root.generation + 1)
      elseif was_recalled and was_recalled > knew then
        replaces = false
      end
    elseif was_recalled then
      replaces = replaces or not same_place(root, mine)
      redis.call('HDEL', bucket[asked], '!' .. RECALLED .. asked)
    end
    if knew and (not root or (was_recalled and was_recalled < knew)) then
      local e = string.format('%.0f', NOW + MARK_MS)
      write_note(asked, RECALLED, string.format('%s|%.0f', closed_since, knew), e)
    end
    if not root or replaces then
      field, holds, is_news = asked, mine, true
      write_root(asked, root, mine, origin(NOW - known[7], known[4], known[6]), end_of_origin(NOW - known[8]))
    end
    for j = first + 1, last do
      if not leads[j].is_live and fields[j] ~= field then
        -- Read again, because a name may be given twice.
        write_pointer(fields[j], read(fields[j]), field)
        is_news = true
      end
    end
    -- Listeners would trust a binding that ends soon, and would write back one of a snapshot as their own knowledge.
    local ends_soon = root and not was_served and logged_off(field, root)
    if is_news and not ends_soon and not knew then bound(field, holds, known[4], first, last) end
    local is_as_given = field == asked and same_place(holds, mine) and holds.generation == mine.generation
    results[i] = is_as_given and 1 or answer(field, holds, false)
  end
  first = last + 1
end
-- Names were added, so they are counted again.
redis.call('DEL', held)
return { undeclared, results }
