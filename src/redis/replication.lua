-- Returns the id of the server's replication history, or '' if the account may not ask. The id changes when a replica
-- is promoted or the server restarts; then Redis may have lost its last writes.
local function replication()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and string.match(info, 'master_replid:(%x+)') or ''
end
