import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How requests name their agent: in the header, in the body only, or in the header with new agents in each run. */
export type Naming = 'header' | 'body' | 'new';

/** A new TCP connection for each request, as SAP CRM does, or kept-alive ones. */
export type Connections = 'new' | 'kept';

export interface LoadPlan {
  readonly url: string;
  readonly naming: Naming;
  readonly connections: Connections;
  readonly concurrency: number;
  readonly seconds: number;
  /** Keeps the names of `new` agents apart from those of other runs. */
  readonly run: string;
  /** The number of agents; they take turns. */
  readonly agents: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 2xx, and failed connections. */
  readonly errors: number;
}

export const PATH = '/ici/IciUserInterface';

/**
 * A SOAP request of 2 KB. The names come last, after the attached data, so that
 * a search for them has to read all of it.
 */
function envelope(user: string, session: string): string {
  const names = `<user>${user}</user><sessionId>${session}</sessionId>`;
  const head =
    '<?xml version="1.0" encoding="utf-8"?>\n<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"' +
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:ici="urn:PLACEHOLDER:IciUserInterface">\n' +
    '<soapenv:Body><ici:setWorkmode><attachedData>';
  const tail = `</attachedData><workmode>ready</workmode>${names}</ici:setWorkmode></soapenv:Body></soapenv:Envelope>`;
  let data = '';
  for (let i = 0; head.length + data.length + tail.length < BODY_BYTES - 40; i += 1) {
    data += `<entry key="field-${i}">value ${i} of it</entry>`;
  }
  return head + data.padEnd(BODY_BYTES - head.length - tail.length) + tail;
}

const BODY_BYTES = 2_048;
// As wide as the numbers of the generators, so that every body has the same length.
const NUMBER = '@NUMBER@';

/** The request of both generators; {@link NUMBER} stands for the number of the agent. */
export function requestParts({ naming, connections, run }: LoadPlan): {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
} {
  const user = naming === 'new' ? `${run}${NUMBER}` : `AGENT${NUMBER}`;
  const session = `SID:ANON:host_${user}:SESSION`;
  return {
    headers: {
      'Content-Type': 'text/xml; charset=utf-8',
      SOAPAction: '"setWorkmode"',
      ...(naming === 'body' ? {} : { soapuser: user, Cookie: `WS_SESSION_ID=${session}` }),
      ...(connections === 'new' ? { Connection: 'close' } : {}),
    },
    body: envelope(user, session),
  };
}

/** The body, or header value, of one agent. */
export function numbered(text: string, agent: number): string {
  return text.replaceAll(NUMBER, String(agent).padStart(NUMBER.length, '0'));
}

/** `wrk`, or a slower client of our own if it is not installed. */
export function findGenerator(): 'wrk' | 'node' {
  return spawnSync('wrk', ['-v'], { stdio: 'ignore' }).error === undefined ? 'wrk' : 'node';
}

/** Loads a server from a separate process. Rejects if the generator fails or gets no answer. */
export async function load(
  plan: LoadPlan,
  generator: 'wrk' | 'node',
  directory: string,
): Promise<LoadResult> {
  const command = generator === 'wrk' ? wrkCommand(plan, directory) : nodeCommand(plan);
  const { stdout, stderr } = await run(command);
  const line = /^\{"requests".*\}$/m.exec(stdout)?.[0];
  if (line === undefined) throw new Error(`the load generator told no figures: ${stdout}${stderr}`);
  const result = JSON.parse(line) as LoadResult;
  if (result.requests === 0) throw new Error(`${plan.url} answered nothing`);
  return result;
}

const CLIENT = fileURLToPath(new URL('./load-client.js', import.meta.url));

function nodeCommand(plan: LoadPlan): string[] {
  return [process.execPath, CLIENT, JSON.stringify(plan)];
}

function wrkCommand(plan: LoadPlan, directory: string): string[] {
  // Several may be loaded at the same time, so each has a separate file.
  const script = join(directory, `${plan.naming}-${plan.connections}-${new URL(plan.url).port}.lua`);
  writeFileSync(script, wrkScript(plan));
  return [
    'wrk',
    '-t1',
    `-c${plan.concurrency}`,
    `-d${plan.seconds}s`,
    '--timeout',
    '10s',
    '-s',
    script,
    plan.url,
  ];
}

/** Requests are prepared before the load begins, except for those of new agents, which may be too many. */
function wrkScript(plan: LoadPlan): string {
  const { headers, body } = requestParts(plan);
  const entries = Object.entries(headers).map(([name, value]) => `[ ${lua(name)} ] = ${lua(value)}`);
  const make = `local function make(n)
  local digits = string.format('%0${NUMBER.length}d', n)
  local named = {}
  for name, value in pairs(headers) do named[name] = value:gsub(NUMBER, digits) end
  return wrk.format('POST', ${lua(PATH)}, named, (body:gsub(NUMBER, digits)))
end`;
  const supply =
    plan.naming === 'new'
      ? `local n = 0
function request() n = n % ${plan.agents} + 1 return make(n) end`
      : `local ready, n = {}, 0
function init(args)
  for i = 1, ${plan.agents} do ready[i] = make(i) end
end
function request() n = n % ${plan.agents} + 1 return ready[n] end`;
  return `local NUMBER = ${lua(NUMBER)}
local headers = { ${entries.join(', ')} }
local body = ${lua(body)}
${make}
${supply}
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;
}

function lua(text: string): string {
  return `[==[${text}]==]`;
}

function run(command: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const [file = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const end = (): void => void child.kill();
    process.once('exit', end);
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('exit', end);
      if (code === 0) resolve({ stdout, stderr });
      else reject(new Error(`${file} failed: ${stderr}${stdout}`));
    });
  });
}
