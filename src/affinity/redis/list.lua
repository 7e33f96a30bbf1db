-- Lists the live roots of some buckets, and the pointers if wanted. Takes no fields.
--
--   KEYS[3...]   the buckets
--   ARGV[4]      the instance whose roots are wanted, or '' for all
--   ARGV[5]      the begin of the values of the roots wanted
--   ARGV[6]      '1' if pointers are wanted too
--   ARGV[10]     JSON: `idle`: only roots whose lifetime was last restarted that many milliseconds ago or earlier;
--                `roots`: only pointers to these roots, and no roots; `details`: whether origins are wanted.
--                The others: see head.lua
--   returns      {now, number of fields read, {field, entry, packed origin or '', ...} of the first bucket, ...};
--                origins only with details

--- @include "head.lua"
local wanted_instance, prefix, wants_pointers = ARGV[4], ARGV[5], ARGV[6] == '1'
local filter = cjson.decode(ARGV[10])
local wanted_roots = {}
for _, root in ipairs(filter.roots or {}) do wanted_roots[root] = true end
local last_end = filter.idle and NOW - filter.idle + idle_lifetime

local function is_wanted(field, packed)
  if string.sub(field, 1, 1) == '!' then return false end
  local instance = string.match(packed, '^=([^|]*)|')
  if filter.roots then return wanted_roots[string.match(packed, '^>%d+|(.*)$') or ''] and not ended(packed) end
  if not instance then return wants_pointers and not ended(packed) end
  if wanted_instance ~= '' and wanted_instance ~= instance then return false end
  if string.sub(field, 2, 1 + #prefix) ~= prefix or ended(packed) then return false end
  return not last_end or tonumber(string.match(packed, '|(%d+)$')) <= last_end
end

local pages, fields_read = { string.format('%.0f', NOW), 0 }, 0
for i = BUCKETS_FROM, #KEYS do
  local page, all, origins = {}, redis.call('HGETALL', KEYS[i]), {}
  fields_read = fields_read + #all / 2
  if filter.details then
    for j = 1, #all, 2 do
      if string.sub(all[j], 1, 2) == '!!' and not ended(all[j + 1]) then
        origins[string.sub(all[j], 3)] = all[j + 1]
      end
    end
  end
  for j = 1, #all, 2 do
    if is_wanted(all[j], all[j + 1]) then
      page[#page + 1] = all[j]
      page[#page + 1] = all[j + 1]
      if filter.details then page[#page + 1] = origins[all[j]] or '' end
    end
  end
  pages[#pages + 1] = page
end
pages[2] = fields_read
return pages
