-- Finds or makes the binding of a user, a session, or both, the user first; see AffinityStore.claim. A client address
-- takes the place of a user.
--
-- The outcome depends on how the request names them and on what they hold here. The caller passes the rulings, one
-- letter for each situation (core/evidence.ts).
--
-- The note on a session is `shared`, or lists its previous users, each as the first digits of a digest. If one of them
-- takes the session back, it becomes shared.
--
--   ARGV[4..6]   the proposed instance and incarnation, and the rulings; the others: see head.lua
--   returns      {'holds', ...}, see `answer`, with the letter of the ruling at its end; {'no-agent'}; {'stale'}; or
--                {'declare', ...}
--   constants    SHARED, MOST_FORMER, DIGITS: the note `shared`, the number of previous users in any other note, and
--                the digits for each (affinity/session-note.ts); RULING_AT: the position of each situation's letter
--                (core/evidence.ts)

--- @include "head.lua"
local instance, incarnation, rulings = ARGV[4], ARGV[5], ARGV[6]

local function proposal(generation)
  return { instance = instance, incarnation = incarnation, generation = generation }
end
local user, session = name(1), name(2)
if not session and string.sub(user, 1, 1) == 's' then user, session = nil, user end
local user_entry, user_field, user_root, entry, field, root
if user then user_entry, user_field, user_root = resolve(user) end
if session then entry, field, root = resolve(session) end
local again = redirect()
if again then return again end

local is_same = root and user_root and field == user_field
local noted = session and not is_same and note(session)
local session_holds = 'nothing'
if noted == SHARED then session_holds = 'shared'
elseif is_same then session_holds = 'same'
elseif root then session_holds = field == session and 'itself' or entry.found and 'found-other' or 'other' end
local user_holds = user_root and (user_root.found and 'found' or 'binding') or 'nothing'
local at = RULING_AT[user_holds .. ' ' .. session_holds]
local by, is_found = string.sub(rulings, at, at), string.sub(rulings, 1, 1) == 'f'
if noted == SHARED then write_note(session, noted) end
if by == 'n' then return { 'no-agent' } end

if by == 'l' and session_holds == 'other' then
  local function digest(field) return string.sub(redis.sha1hex(field), 1, DIGITS) end
  local former, mine = noted or '', digest(user)
  for i = 1, #former, DIGITS do
    if string.sub(former, i, i + DIGITS - 1) == mine then by = 'u' end
  end
  if by == 'u' then
    write_note(session, SHARED)
    redis.call('HDEL', bucket[session], session)
    moved(session)
    entry, field, root = nil, nil, nil
  else
    write_note(session, string.sub(former .. digest(field), -MOST_FORMER * DIGITS))
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
    leads, holds, made, is_news = session, proposal(1), true, true
    write_root(session, nil, holds)
  end
else
  if by == 't' or by == 'g' then
    local generation = math.max(user_root and user_root.generation or 0, root.generation) + 1
    leads, is_news = user_field or user, true
    holds = { instance = root.instance, incarnation = root.incarnation, generation = generation, found = is_found }
    if user_root and not same_place(user_root, root) then displaced = user_root end
    write_root(leads, user_root, holds)
  elseif user_root then
    leads, holds = user_field, user_root
    holds = { instance = holds.instance, incarnation = holds.incarnation, generation = holds.generation,
      found = holds.found and is_found }
    write_root(leads, user_root, holds)
  else
    leads, holds, made, is_news = user, proposal(1), true, true
    holds.found = is_found
    write_root(user, nil, holds)
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

if is_news then
  local first, last = 1, names_asked
  if by == 's' then first = last end
  if by == 'u' then last = first end
  bound(leads, holds, epoch, first, last)
end
local reply = answer(leads, holds, made, displaced)
reply[#reply + 1] = by
return reply
