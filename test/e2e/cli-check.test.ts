import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { MAIN } from '../../src/package.ts';

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return runProgram(process.execPath, [MAIN, ...args], env);
}

function runProgram(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: process.env['PATH'], HOME: directory, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

let directory: string;
let good: string;
let bad: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-check-'));
  good = join(directory, 'good.yaml');
  bad = join(directory, 'bad.yaml');
  writeFileSync(
    good,
    `pools:
  - name: ici
    instances:
      - { id: a, url: 'http://10.0.0.1:8080' }
      - { id: b, url: 'http://10.0.0.2:8080' }
    balancer: random
affinity: { redis: { url: 'redis://:hunter2@10.0.0.9' } }
limits: { connections: 500, inFlight: 100 }
`,
    // It holds a password.
    { mode: 0o600 },
  );
  writeFileSync(bad, `pools:\n  - name: ici\n    instances: []\ntimeouts: { parc: 5s }\n`);
});

afterAll(() => rmSync(directory, { recursive: true }));

describe('ici-gateway check', () => {
  test('summarizes a valid file, and ends with 0', async () => {
    const { code, out, err } = await run(['check', '--config', good]);
    expect({ code, out }).toEqual({
      code: 0,
      out: `listens on 127.0.0.1:8080, admin plane on 127.0.0.1:9090
pool ici: failover, 2 instances (a, b), every host, /
store: redis
open files: a worker can need 700
configuration is valid, 1 warning
`,
    });
    expect(err).toMatch(/^warning: .*good\.yaml:6:15 pools\[0\]\.balancer: has no effect in a failover pool/);
  });

  test('says that a gateway of this shell could open too few files', async () => {
    const { out } = await runProgram('prlimit', [
      '--nofile=400',
      process.execPath,
      MAIN,
      'check',
      '--config',
      good,
    ]);
    expect(out).toContain(
      'open files: a worker can need 700; with the 400 of this shell it would take 200 connections of clients (limits.connections: 500)',
    );
  });

  test('reports every problem of an invalid file on standard error, and ends with 1', async () => {
    const { code, out, err } = await run(['check', '-c', bad]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.replaceAll(`${directory}/`, '').split('\n')).toEqual([
      expect.stringMatching(/^bad\.yaml:3:16 pools\[0\]\.instances: must have at least 1 entry/),
      'bad.yaml:4:13 timeouts.parc: is not an option; did you mean "park"?',
      'configuration is invalid, 2 problems',
      '',
    ]);
  });

  test('finds the file that ICI_GATEWAY_CONFIG names', async () => {
    const { code } = await run(['check'], { ICI_GATEWAY_CONFIG: good });
    expect(code).toBe(0);
  });

  test('prints the effective configuration without secrets, and the output passes the check', async () => {
    const { code, out } = await run(['check', '--config', good, '--print', '--listen', '0.0.0.0:80'], {
      ICI_GATEWAY_TIMEOUTS__PARK: '3s',
    });
    expect(code).toBe(0);
    expect(out).not.toContain('hunter2');
    expect(parse(out)).toMatchObject({
      listen: { address: '0.0.0.0:80' },
      timeouts: { park: '3s', total: '1m' },
    });
    const printed = join(directory, 'printed.yaml');
    writeFileSync(printed, out);
    expect((await run(['check', '--config', printed])).code).toBe(0);
  });

  test('prints the JSON Schema', async () => {
    const { code, out } = await run(['check', '--schema']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ title: 'ici-gateway', required: ['pools'] });
  });

  test('names the minimum configuration when nothing is given', async () => {
    const { code, err } = await run(['check']);
    expect(code).toBe(1);
    expect(err).toContain('give --config FILE, or --instance ID=URL for each instance');
  });
});

describe('the command line', () => {
  test.each([
    [['chek'], '(Did you mean check?)'],
    [['check', '--confg', 'x'], '(Did you mean --config?)'],
    [['check', 'gateway.yaml'], 'To name a configuration file, use --config FILE.'],
    [['simulate', 'agents', '--agents', 'many'], 'It must be a whole number from 1 to 5000.'],
    [['simulate', 'agents', '--for', '5'], 'It must be a duration such as 30s, 5m or 1h.'],
  ])('%j ends with 2 and a remedy', async (args, remedy) => {
    const { code, out, err } = await run(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(remedy);
  });

  test.each([
    [['--help']],
    [['start', '--help']],
    [['check', '--help']],
    [['simulate', 'connector', '--help']],
    [['simulate', 'agents', '--help']],
    [['demo', '--help']],
  ])('%j ends with 0 and examples', async (args) => {
    const { code, out } = await run(args);
    expect(code).toBe(0);
    expect(out).toMatch(/Examples:\n {2}\$ ici-gateway /);
  });

  test('an invalid configuration stops start before anything is opened', async () => {
    const { code, err } = await run(['start', '--config', bad]);
    expect(code).toBe(1);
    expect(err).toContain('configuration is invalid, 2 problems');
    expect(err).not.toMatch(/^ {4}at /m);
  });

  test('prints its version', async () => {
    expect((await run(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n(?:.*\n)*Node v\d+\./);
  });
});

describe('ici-gateway start', () => {
  test('leaves no half-written pid file on a full disk, and names the file', async () => {
    const folder = join(directory, 'run');
    mkdirSync(folder);
    const pidFile = join(folder, 'gateway.pid');
    // A file size limit of 0 bytes: the first write fails as on a full disk.
    const limited = 'ulimit -f 0; exec "$@"';
    const start = [process.execPath, MAIN, 'start', '--config', good, '--pid-file', pidFile];
    const { code, err } = await runProgram('/bin/sh', ['-c', limited, 'sh', ...start]);
    expect(code).toBe(1);
    expect(err).toContain(`the pid file ${pidFile} cannot be written (EFBIG: `);
    expect(err).toContain('or give another --pid-file');
    expect(readdirSync(folder)).toEqual([]);
  });
});
