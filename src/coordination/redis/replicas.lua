-- Returns what the server knows of its own replicas (INFO replication), or '' if the account may not ask.
local info = redis.pcall('INFO', 'replication')
return type(info) == 'string' and info or ''
