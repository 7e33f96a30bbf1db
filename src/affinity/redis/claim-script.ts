/**
 * Finds or makes the binding of a user, a session, or both, the user first; see
 * AffinityStore.claim. What is done with them is ruled by how the request names
 * them and by what they have here; the caller brings the rulings along, one for
 * each situation. A client address stands in the place of a user.
 *
 * Noted of a session: `shared`, or who had it before its user, eight digits of
 * the digest of each. A user who takes it back shares it.
 */
export const CLAIM = `
local FORMER, DIGITS = 8, 8
local user, session = name(1), name(2)
if not session and string.sub(user, 1, 1) == 's' then user, session = nil, user end
local user_entry, user_field, user_root, entry, field, root
if user then user_entry, user_field, user_root = resolve(user) end
if session then entry, field, root = resolve(session) end
local again = redirect()
if again then return again end

local is_same = root and user_root and field == user_field
local noted = session and not is_same and note(session)
local has = 0
if noted == 'shared' then has = 5
elseif is_same then has = 2
elseif root then has = field == session and 1 or entry.found and 3 or 4 end
local user_has = user_root and (user_root.found and 1 or 2) or 0
local at = 2 + 6 * user_has + has
local by, is_found = string.sub(ARGV[6], at, at), string.sub(ARGV[6], 1, 1) == 'f'
if noted == 'shared' then write_note(session, noted) end
if by == 'n' then return { 'no-agent' } end

if by == 'l' and has == 4 then
  local function digest(field) return string.sub(redis.sha1hex(field), 1, DIGITS) end
  local former, mine = noted or '', digest(user)
  for i = 1, #former, DIGITS do
    if string.sub(former, i, i + DIGITS - 1) == mine then by = 'u' end
  end
  if by == 'u' then
    write_note(session, 'shared')
    redis.call('HDEL', bucket[session], session)
    moved(session)
    entry, field, root = nil, nil, nil
  else
    write_note(session, string.sub(former .. digest(field), -FORMER * DIGITS))
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
  local first, last = 10, 9 + NAMES
  if by == 's' then first = last end
  if by == 'u' then last = first end
  bound(leads, holds, ARGV[9], first, last)
end
local reply = answer(leads, holds, made, displaced)
reply[#reply + 1] = by
return reply
`;
