import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/redis-server.ts';
import { findTool } from '../support/system-tools.ts';
import type { Stage, Started } from './started.ts';
import { untilAnswers } from './started.ts';

/** A program, or what is missing. */
interface Found {
  readonly file: string;
  readonly missing: string | undefined;
}

const BACKLOG = 4_096;
const KEPT = 64;

export function findHaproxy(): Found & { readonly missingLua: string | undefined } {
  const found = find('haproxy');
  const { error, stdout } = spawnSync(found.file, ['-vv'], { encoding: 'utf8' });
  const hasLua = error === undefined && /\+LUA|USE_LUA=1/.test(stdout);
  return { ...found, missingLua: hasLua ? undefined : 'this haproxy was built without Lua' };
}

export const findNginx = (): Found => find('nginx', 'nginx-light');
export const findCaddy = (): Found => find('caddy');

function find(name: string, debian = name): Found {
  const file = findTool(name);
  return {
    file: file ?? name,
    missing: file === undefined ? `no ${name}: install the Debian package ${debian}` : undefined,
  };
}

/**
 * haproxy as it does the same as the gateway for a known agent: one thread, a stick table keyed by the user, kept-alive
 * connections to the server. With `body` Lua finds the user in the body, which is the way of haproxy if clients send no
 * header.
 */
export function startHaproxy(stage: Stage, key: 'header' | 'body'): Promise<Started> {
  const script = join(stage.bench.directory, 'soap-user.lua');
  if (key === 'body') writeFileSync(script, FIND_USER);
  const find =
    key === 'header'
      ? ['http-request set-var(txn.user) req.hdr(soapuser)']
      : ['option http-buffer-request', 'http-request set-var(txn.user) lua.soap_user'];
  return start(
    stage,
    findHaproxy().file,
    ['-db', '-f'],
    (port) => `global
  nbthread 1
  maxconn 2000
${key === 'body' ? `  lua-load ${script}\n` : ''}
defaults
  mode http
  timeout client 75s
  timeout connect 1s
  timeout server 30s

frontend clients
  bind 127.0.0.1:${port} backlog ${BACKLOG}
  option forwardfor
${find.map((line) => `  ${line}\n`).join('')}  default_backend instances

backend instances
  balance roundrobin
  stick-table type string len 64 size 200k expire 12h
  stick on var(txn.user)
  http-reuse always
  option httpchk GET /
  server a ${hostOf(stage)} check inter 2s
`,
  );
}

const FIND_USER = `core.register_fetches('soap_user', function(txn)
  local body = txn.f:req_body()
  if body == nil then return '' end
  return body:match('<user>%s*([^<]-)%s*</user>') or ''
end)
`;

/** It has no stick table: the hash of the name chooses the instance. */
export function startNginx(stage: Stage): Promise<Started> {
  const { directory } = stage.bench;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((part) => {
    mkdirSync(join(directory, 'nginx', part), { recursive: true });
    return `  ${part}_temp_path ${join(directory, 'nginx', part)};`;
  });
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  return start(
    stage,
    findNginx().file,
    ['-e', 'stderr', '-c'],
    (port) => `${user}daemon off;
worker_processes 1;
pid ${join(directory, 'nginx', 'pid')};
error_log stderr crit;
events { worker_connections 4096; }
http {
${temporary.join('\n')}
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 100m;
  client_body_buffer_size 64k;
  upstream instances {
    hash $http_soapuser consistent;
    server ${hostOf(stage)};
    keepalive ${KEPT};
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=${BACKLOG};
    location / {
      proxy_pass http://instances;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`,
  );
}

export function startCaddy(stage: Stage): Promise<Started> {
  const env = {
    HOME: stage.bench.directory,
    XDG_DATA_HOME: stage.bench.directory,
    XDG_CONFIG_HOME: stage.bench.directory,
    GOMAXPROCS: '1',
  };
  const command = ['run', '--adapter', 'caddyfile', '--config'];
  return start(
    stage,
    findCaddy().file,
    command,
    (port) => `{
  admin off
  auto_https off
  log {
    output discard
  }
}
http://127.0.0.1:${port} {
  reverse_proxy ${hostOf(stage)} {
    lb_policy header soapuser
  }
}
`,
    env,
  );
}

function hostOf({ upstream }: Stage): string {
  return new URL(upstream).host;
}

async function start(
  { bench, turn }: Stage,
  program: string,
  args: readonly string[],
  configOf: (port: number) => string,
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const port = await freePort();
  const file = join(bench.directory, `proxy-${turn}.cfg`);
  writeFileSync(file, configOf(port));
  const started = bench.startPinned([program, ...args, file], env);
  const url = `http://127.0.0.1:${port}`;
  try {
    await untilAnswers(url);
  } catch (error) {
    throw new Error(`${program} did not start: ${started.output().slice(-2_000)}`, { cause: error });
  }
  return { url, program: started };
}
