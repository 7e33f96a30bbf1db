import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeBlocks, REFERENCE, ROOT, readDocument } from '../support/documents.ts';
import { PROGRAM } from '../support/gateway-process.ts';

/**
 * Every shell snippet of the README and of the reference is run here unchanged, or is listed with the reason
 * why not. They run one after the other in one folder, beside two connectors and a gateway on the ports that they name;
 * if the machine allows it, in a separate network, so that other programs may use these ports too.
 */

// Runs until it is stopped; the commands that follow it in the README ask it.
const DEV = 'npm run dev';

/** The expected output, by the beginning of the snippet. */
const RUN: Readonly<Record<string, RegExp>> = {
  // The gateway needs the token when it starts, so this is the first.
  'openssl rand -hex 32': /^$/,
  [DEV]: /listening/,
  "curl -s -H 'soapuser: MILLER'": /"name":"(\w)".*\n.*"name":"\1".*\n.*"name":"\w"/,
  'ici-gateway check --config deploy/examples/sticky-redis.yaml': /valid/,
  'ici-gateway check --config deploy/examples/failover.yaml --print': /mode: failover/,
  'ici-gateway check --config new.yaml --against': /timeouts\.park: 5s → 3s/,
  'curl -s http://127.0.0.1:9090/readyz': /^Running\n+\{"bindings":\[/,
  'ici-gateway admin drain ici a': /"draining"[\s\S]*"events"/,
  'ici-gateway admin history ici': /"step"/,
  'ici-gateway admin epochs ici': /up/,
  'export ICI_GATEWAY_ADMIN__TOKEN_FILE': /"agents"[\s\S]*"gateways"/,
  'ici-gateway admin explain ici': /"outcome": "forward"[\s\S]*"moves"/,
  "echo 'a long password' | ici-gateway hash-password": /^$/,
  'ici-gateway admin activate presence b': /"active": ?"b"/,
  'curl -s -X POST -H "authorization:': /"enabled"/,
  'ici-gateway simulate agents --url': /no agent|0 splits|p99/,
  'ici-gateway hash-password operator': /^$/,
  "curl -s 'http://127.0.0.1:50013/?wsdl'": /urn:SAPControl/,
};

/** The reason why a snippet is not run here, by its beginning. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'npm ci': 'replaces the packages that this test is running on',
  'ici-gateway admin adopt-config':
    'needs two gateways that differ; test/integration/config-drift.test.ts has them',
  'sysctl -w': 'changes a setting of the kernel',
};

const CONFIG = `
workers: 0
admin: { tokenFile: admin.token }
sapcontrol: {}
affinity: { stateDir: state }
pools:
  - name: ici
    mode: sticky
    instances: [{ id: a, url: 'http://127.0.0.1:9001' }, { id: b, url: 'http://127.0.0.1:9002' }]
    health: { path: /health }
  - name: presence
    match: { paths: [/presence] }
    instances: [{ id: a, url: 'http://127.0.0.1:9001' }, { id: b, url: 'http://127.0.0.1:9002' }]
    health: { path: /health }
`;

interface Snippet {
  readonly page: string;
  readonly text: string;
}

const SNIPPETS: readonly Snippet[] = ['README.md', ...REFERENCE].flatMap((page) =>
  codeBlocks(readDocument(page), 'sh').map((text) => ({ page, text })),
);
const beginning = (table: Readonly<Record<string, unknown>>, { text }: Snippet): string | undefined =>
  Object.keys(table).find((key) => text.startsWith(key));
const EXECUTED = SNIPPETS.filter((snippet) => beginning(RUN, snippet) !== undefined);

let folder: string;

/** Runs each snippet in a separate shell, and keeps its output and exit code. */
function script(): string {
  const run = (i: number): string =>
    `bash -eu ${i}.sh > ${i}.out 2> ${i}.err <<< 'a long password' && echo 0 > ${i}.code || echo $? > ${i}.code`;
  const numbers = EXECUTED.map((_, i) => i);
  const startsWith = (text: string) => (i: number) => EXECUTED[i]?.text.startsWith(text) === true;
  const ofReadme = numbers.filter((i) => EXECUTED[i]?.page === 'README.md' && !startsWith(DEV)(i));
  const [dev, token] = [DEV, 'openssl'].map((text) => numbers.findIndex(startsWith(text))) as [
    number,
    number,
  ];
  const others = numbers.filter((i) => ![dev, token, ...ofReadme].includes(i));
  const waits = (url: string): string =>
    `for i in {1..1200}; do curl -sf ${url} > ready && break; sleep 0.1; done; test -s ready || { cat *.log *.out; exit 1; }; rm ready`;
  const readyz = waits('http://127.0.0.1:9090/readyz');
  return [
    // Background commands get a separate process group, which ends with them.
    'set -um',
    "trap 'for job in $(jobs -p); do kill -KILL -- -$job; done' EXIT",
    `bash -c 'cd ${ROOT} && . ${folder}/${dev}.sh' > ${dev}.out 2>&1 &`,
    'dev=$!',
    readyz,
    ...ofReadme.map(run),
    'kill -TERM -- -$dev; wait $dev',
    `> ${dev}.err; echo 0 > ${dev}.code`,
    run(token),
    'ici-gateway simulate connector --name a --port 9001 > a.log &',
    'ici-gateway simulate connector --name b --port 9002 > b.log &',
    waits('http://127.0.0.1:9002/health'),
    'ici-gateway start --config gateway.yaml > gateway.log 2>&1 &',
    readyz,
    "curl -s -H 'soapuser: JONES' http://127.0.0.1:8080/health",
    ...others.map(run),
    'exit 0',
  ].join('\n');
}

test('every snippet is run, or has a reason why not', () => {
  const listed = SNIPPETS.filter((one) => (beginning(RUN, one) ?? beginning(NOT_RUN, one)) === undefined);
  expect(listed).toEqual([]);
  for (const key of [...Object.keys(RUN), ...Object.keys(NOT_RUN)])
    expect(
      SNIPPETS.some(({ text }) => text.startsWith(key)),
      key,
    ).toBe(true);
});

describe('an unchanged snippet', { tags: 'long' }, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ici-snippets-'));
    mkdirSync(join(folder, 'bin'));
    const program = `#!/bin/sh\nexec ${PROGRAM.map((word) => `'${word}'`).join(' ')} "$@"\n`;
    writeFileSync(join(folder, 'bin/ici-gateway'), program, { mode: 0o755 });
    symlinkSync(join(ROOT, 'deploy'), join(folder, 'deploy'));
    writeFileSync(join(folder, 'gateway.yaml'), CONFIG);
    writeFileSync(join(folder, 'new.yaml'), `${CONFIG}timeouts: { park: 3s }\n`);
    EXECUTED.forEach(({ text }, i) => {
      writeFileSync(join(folder, `${i}.sh`), text);
    });
    writeFileSync(join(folder, 'run.sh'), script());
    const inside = ['unshare', '--map-root-user', '--net'];
    const [loopback, commands] = ['ip link set lo up', 'bash run.sh'];
    const ownNetwork =
      spawnSync(inside[0] as string, [...inside.slice(1), 'sh', '-c', loopback]).status === 0;
    const [command = '', ...args] = ownNetwork
      ? [...inside, 'sh', '-c', `${loopback} && ${commands}`]
      : ['sh', '-c', commands];
    try {
      // About 20 s, and several times as long on a busy machine. Not synchronous: vitest waits a minute for an answer.
      await promisify(execFile)(command, args, {
        cwd: folder,
        env: { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, USER: 'tester' },
        timeout: 280_000,
      });
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      throw new Error(`the snippets were not run to the end:\n${stdout}${stderr}`, { cause: error });
    }
  }, 300_000);

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(EXECUTED.map((snippet, i) => ({ ...snippet, i })))('$page: $text', (snippet) => {
    const read = (end: string): string => readFileSync(join(folder, `${snippet.i}.${end}`), 'utf8');
    expect({ code: read('code').trim(), err: read('err') }).toEqual({ code: '0', err: '' });
    expect(read('out')).toMatch(RUN[beginning(RUN, snippet) ?? ''] ?? /^$/);
  });
});
