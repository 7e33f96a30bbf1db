import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether haproxy is installed, and whether it can run Lua. */
export function findHaproxy(): { readonly installed: boolean; readonly lua: boolean } {
  const { error, stdout } = spawnSync('haproxy', ['-vv'], { encoding: 'utf8' });
  return { installed: error === undefined, lua: error === undefined && /\+LUA|USE_LUA=1/.test(stdout) };
}

/**
 * Writes a configuration that does the same as the gateway for a known agent: one
 * thread, a stick table keyed by the user, kept-alive connections to the server.
 * With `body` Lua finds the user in the body, which is the way of haproxy
 * if clients send no header. Returns the name of the file.
 */
export function writeHaproxyConfig(
  directory: string,
  port: number,
  upstream: string,
  key: 'header' | 'body',
): string {
  const file = join(directory, `haproxy-${key}.cfg`);
  const script = join(directory, 'soap-user.lua');
  if (key === 'body') writeFileSync(script, FIND_USER);
  const find =
    key === 'header'
      ? ['http-request set-var(txn.user) req.hdr(soapuser)']
      : ['option http-buffer-request', 'http-request set-var(txn.user) lua.soap_user'];
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 2000
${key === 'body' ? `  lua-load ${script}\n` : ''}
defaults
  mode http
  timeout client 75s
  timeout connect 1s
  timeout server 30s

frontend clients
  bind 127.0.0.1:${port} backlog 4096
  option forwardfor
${find.map((line) => `  ${line}\n`).join('')}  default_backend instances

backend instances
  balance roundrobin
  stick-table type string len 64 size 200k expire 12h
  stick on var(txn.user)
  http-reuse always
  option httpchk GET /
  server a ${new URL(upstream).host} check inter 2s
`,
  );
  return file;
}

const FIND_USER = `core.register_fetches('soap_user', function(txn)
  local body = txn.f:req_body()
  if body == nil then return '' end
  return body:match('<user>%s*([^<]-)%s*</user>') or ''
end)
`;
