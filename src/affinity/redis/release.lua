-- Ends a root if it still has the expected generation; see AffinityStore.release. The only name asked about is that of
-- the root. Pointers to it stay: they lead to the root's next binding.
--
--   ARGV[4..5]   unused
--   ARGV[6]      the expected generation; the others: see head.lua
--   returns      {'released'}; {'none'} if the name has no binding; {'holds', ...} if it has another one, see `answer`;
--                {'stale'}; or {'declare', ...}

--- @include "head.lua"
--- @include "expected-root.lua"
count(root.instance, root.e, -1)
redis.call('HDEL', bucket[asked], asked, '!' .. asked, '!!' .. asked)
settle({ asked })
redis.call('DEL', held)
write_note(asked, RELEASED, string.format('%s%d', root.found and '0' or '', root.generation))
moved(asked)
return { 'released' }
