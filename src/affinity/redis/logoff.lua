-- Lets a root end soon, because its agent has logged off; see AffinityStore.logOff. The only name asked about is that
-- of the root. Pointers to it stay, as in release.lua.
--
-- Every step that restarts the lifetime of the root undoes it, also one of a gateway of an earlier release.
--
--   ARGV[4]      how long the root lasts from now on, in milliseconds
--   ARGV[5]      quantum of its end
--   ARGV[6]      the expected generation, and `|again` if the caller has told the same log-off before: it counts only
--                if nothing has restarted the lifetime since
--   ARGV[10]     `<age>|<caller>`: how long ago the request came with which the agent logged off, and who tells it (see
--                affinity/redis/logoff-message.ts). The others: see head.lua
--   returns      {'holds', ...}, see `answer`, `made` if this call has done it; {'none'}; or {'declare', ...}
--   constants    LOGOFF_NAME: begins the name that carries the message

--- @include "head.lua"
--- @include "expected-root.lua"
local is_again = string.find(ARGV[6], 'again', 1, true)
if is_again and not logged_off(field, root) then return answer(field, root, false) end

local lasts, step = tonumber(ARGV[4]), tonumber(ARGV[5])
local root_end = math.min((math.floor((NOW + lasts) / step) + 1) * step, tonumber(root.e))
local e = string.format('%.0f', root_end)
local after = {
  instance = root.instance,
  incarnation = root.incarnation,
  generation = expected + 1,
  found = root.found,
}
local text = origin_of(asked, root)
write_root(asked, root, after, text, end_of_origin(NOW, root_end), e)
local at = NOW - tonumber(string.match(reason, '^%d+'))
write_note(asked, LOGGED_OFF, string.format('%d|%.0f|%.0f', after.generation, at, NOW), e)
write_note(asked, RELEASED, string.format('%s%d', root.found and '0' or '', after.generation))
settle({ asked })
-- Earlier releases forget both names: the root, and one that no agent has.
moved(asked, string.format('%s%d|%.0f|%s', LOGOFF_NAME, after.generation, root_end - NOW, reason))
return answer(asked, after, true)
