-- The id of the server's replication history. It changes when a replica takes over or the server restarts, which is
-- when Redis may have lost its last writes. '' where the account may not ask.
local function replication()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''
end
