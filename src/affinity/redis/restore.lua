-- Writes back some roots, and pointers to them from their other names. What the store already holds stays, and keeps
-- its lifetime. But an agent who was served without the store has not logged off: that binding gets its lifetime back.
--
-- A binding that has ended by a release or a log-off is not written back by a gateway that has missed that.
--
-- While the view store is closed, a later generation replaces an earlier one, because the store has lost a move. Once
-- it is open, gateways may have acted on what the store holds, so that stays.
--
--   KEYS[2]   the view store, in place of the fencing token
--   ARGV[4]   JSON: [instance, incarnation, generation, epoch, how many names, reason, milliseconds since it holds,
--             milliseconds since the agent used it, 1 if the agent was served without the store, else 0] of
--             each root; the names are the fields in that order, the root first. The others: see head.lua
--   returns   {roots to declare, one result for each entry}: 1 if the store holds the root as given, 0 if it has ended,
--             '' if nothing was done because a declaration is missing, else what holds, see `answer`
--   constants SHARED (affinity/session-note.ts)

--- @include "head.lua"
local view_store, entries = KEYS[2], cjson.decode(ARGV[4])
local is_closed = redis.call('HGET', view_store, 'open') ~= '1'
local first, results = 1, {}
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
  local was_served = known[9] == 1
  local released = last_released(asked)
  if #undeclared > declared then
    results[i] = ''
  elseif not root and not was_served and released > 0 and mine.generation <= released then
    results[i] = 0
  else
    if root and was_served and logged_off(field, root) then write_root(field, root, root) end
    local holds, is_news = root, false
    if not root or (is_closed and field == asked and root.generation < mine.generation) then
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
    -- Listeners would trust a binding that ends soon.
    local ends_soon = root and not was_served and logged_off(field, root)
    if is_news and not ends_soon then bound(field, holds, known[4], first, last) end
    local is_as_given = field == asked and same_place(holds, mine) and holds.generation == mine.generation
    results[i] = is_as_given and 1 or answer(field, holds, false)
  end
  first = last + 1
end
-- Names were added, so they are counted again.
redis.call('DEL', held)
return { undeclared, results }
