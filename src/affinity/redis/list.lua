-- Lists the live roots of some buckets, and the pointers if wanted. Takes no fields.
--
--   KEYS[3...]   the buckets
--   ARGV[4]      the instance whose roots are wanted, or '' for all
--   ARGV[6]      '1' if pointers are wanted too; the others: see head.lua
--   returns      {now, {field, entry...} of the first bucket, ...}

--- @include "head.lua"
local wanted_instance, wants_pointers = ARGV[4], ARGV[6] == '1'
local pages = { string.format('%.0f', NOW) }
for i = BUCKETS_FROM, #KEYS do
  local page, all = {}, redis.call('HGETALL', KEYS[i])
  for j = 1, #all, 2 do
    local instance = string.match(all[j + 1], '^=([^|]*)|')
    local is_wanted = wants_pointers
    if instance then is_wanted = wanted_instance == '' or wanted_instance == instance end
    if is_wanted and not ended(all[j + 1]) then
      page[#page + 1] = all[j]
      page[#page + 1] = all[j + 1]
    end
  end
  pages[#pages + 1] = page
end
return pages
