import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { ToolEnd } from '../support/system-tools.ts';
import { findTool, runProgramFile, runTool } from '../support/system-tools.ts';

/** Checks the files in `deploy/` with their target programs. None of the checks starts a service. */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DEPLOY = join(ROOT, 'deploy');
const OK: ToolEnd = { code: 0, text: '' };

// Several tools in Python and Ruby at once take long on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

let scratch: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ici-gateway-deploy-'));
});

afterAll(() => {
  vi.resetConfig();
  rmSync(scratch, { recursive: true });
});

const read = (file: string): string => readFileSync(join(DEPLOY, file), 'utf8');

/** A separate directory for one test. */
function folder(name: string): string {
  const path = join(scratch, name);
  mkdirSync(path);
  return path;
}

/** Replaces text, or fails if it is missing: a test with a changed copy must really change it. */
function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`"${from}" is not there any more: adapt this test`);
  return text.replaceAll(from, to);
}

describe.concurrent('systemd', () => {
  const UNITS = readdirSync(join(DEPLOY, 'systemd'));

  /** Copies the units, with a Node that exists here. */
  function units(name: string, change: (unit: string) => string = (unit) => unit): string[] {
    const path = folder(name);
    return UNITS.map((unit) => {
      const text = read(`systemd/${unit}`);
      const withNode = unit.endsWith('.service')
        ? replaced(text, '/usr/bin/node ', `${process.execPath} `)
        : text;
      writeFileSync(join(path, unit), change(withNode));
      return join(path, unit);
    });
  }

  test('knows every line of the units', async () => {
    expect(await runTool('systemd-analyze', ['verify', '--man=no', ...units('units')])).toEqual(OK);
  });

  test('would report a misspelt line', async () => {
    const misspelt = units('misspelt', (unit) => unit.replace('KillMode=', 'KilMode='));
    const { text } = await runTool('systemd-analyze', ['verify', '--man=no', ...misspelt]);
    expect(text).toContain("Unknown key 'KilMode'");
  });

  test('gives the service a low exposure level', async () => {
    // Tenths; without hardening it is 96.
    const service = units('hardened').filter((unit) => unit.endsWith('.service'));
    const { code, text } = await runTool('systemd-analyze', [
      'security',
      '--offline=yes',
      '--no-pager',
      '--threshold=20',
      ...service,
    ]);
    expect({ code, text: code === 0 ? '' : text }).toEqual(OK);
  });
});

describe.concurrent('haproxy', () => {
  test.each([
    'compose/haproxy.cfg',
    ...readdirSync(join(DEPLOY, 'haproxy')).map((file) => `haproxy/${file}`),
  ])('accepts %s without a warning', async (file) => {
    const { code, text } = await runTool('haproxy', ['-c', '-f', join(DEPLOY, file)]);
    expect(text.replace('Configuration file is valid', '').trim()).toBe('');
    expect(code).toBe(0);
  });
});

describe.concurrent('Prometheus', () => {
  test('accepts the rules', async () => {
    const { code, text } = await runTool('promtool', [
      'check',
      'rules',
      join(DEPLOY, 'prometheus/alerts.yaml'),
    ]);
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/SUCCESS: \d+ rules found/) });
  });

  test('raises each alert when it should, and none when all is well', async () => {
    const { code, text } = await runTool('promtool', ['test', 'rules', 'alerts.test.yaml'], {
      cwd: join(DEPLOY, 'prometheus'),
    });
    expect({ code, text }).toEqual({ code: 0, text: expect.stringContaining('SUCCESS') });
  });
});

describe.concurrent('containers', () => {
  test('docker-compose accepts docker-compose.yml', async () => {
    expect(await runTool('docker-compose', ['-f', join(ROOT, 'docker-compose.yml'), 'config', '-q'])).toEqual(
      OK,
    );
  });

  test('a linter of Dockerfiles finds nothing', async () => {
    const linter = join(ROOT, 'node_modules/.bin/dockerfile-utils');
    const { code, text } = await runProgramFile(linter, ['lint', join(DEPLOY, 'Dockerfile')]);
    expect({ code, text: text.trim() }).toEqual(OK);
  });
});

describe.concurrent('Kubernetes', () => {
  interface Manifest {
    readonly apiVersion: string;
    readonly kind: string;
  }

  const FILE = 'kubernetes/ici-gateway.yaml';
  const manifests = (text: string): Manifest[] =>
    parseAllDocuments(text).map((document) => document.toJS() as Manifest);

  /** Type-checks the documents as literals of the API's types, which allow no unknown field. */
  async function typeCheck(name: string, text: string): Promise<ToolEnd> {
    // Below the root, so that the compiler finds the models.
    const path = join(ROOT, 'build', `${name}-${process.pid}.ts`);
    mkdirSync(join(ROOT, 'build'), { recursive: true });
    const lines = manifests(text).map(
      (manifest, i) =>
        `import type { I${manifest.kind} as T${i} } from 'kubernetes-models/${manifest.apiVersion}';\n` +
        `export const d${i}: T${i} = ${JSON.stringify(manifest, null, 1)};\n`,
    );
    writeFileSync(path, lines.join(''));
    try {
      return await runProgramFile(process.execPath, [
        join(ROOT, 'node_modules/typescript/bin/tsc'),
        ...['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--module', 'nodenext'],
        ...['--target', 'es2023', '--types', 'node', path],
      ]);
    } finally {
      rmSync(path);
    }
  }

  test('knows every kind and field of the manifest', async () => {
    expect(await typeCheck('manifest', read(FILE))).toEqual(OK);
  });

  test('would report a misspelt field', async () => {
    const { code, text } = await typeCheck('misspelt', replaced(read(FILE), 'maxSurge:', 'maxSurg:'));
    expect(code).not.toBe(0);
    expect(text).toContain('maxSurg');
  });

  test('finds that every value matches its schema', async () => {
    for (const manifest of manifests(read(FILE))) {
      // By its file, because Vite would not find it by name.
      const index = join(ROOT, 'node_modules/kubernetes-models', manifest.apiVersion, 'index.js');
      const models = await import(pathToFileURL(index).href);
      expect(() => new models[manifest.kind](manifest).validate(), manifest.kind).not.toThrow();
    }
  });
});

describe.concurrent('standby', () => {
  test('keepalived accepts its configuration', async () => {
    const path = join(folder('keepalived'), 'keepalived.conf');
    const card = Object.entries(networkInterfaces()).find(([, all]) =>
      all?.some(({ internal }) => !internal),
    );
    if (card === undefined)
      throw new Error('keepalived wants a network card beside loopback to check a file');
    // Version 2.2.7 kills itself in a check if scripts run as a user other than root.
    const asRoot = replaced(
      read('keepalived/keepalived.conf'),
      'script_user nobody nogroup',
      'script_user root',
    );
    writeFileSync(path, replaced(asRoot, 'interface eth0', `interface ${card[0]}`));
    expect(await runTool('keepalived', ['-t', '-f', path])).toEqual(OK);
  });

  test('the commands for Pacemaker create a valid cluster configuration', async () => {
    const path = folder('pacemaker');
    const cib = join(path, 'cib.xml');
    // On a file instead of a cluster, which has no agents to query.
    const pcs = findTool('pcs') ?? 'pcs-is-not-installed';
    writeFileSync(
      join(path, 'pcs'),
      `#!/bin/sh\ncase $2 in create | update) set -- "$@" --force ;; esac\nexec ${pcs} -f ${cib} "$@"\n`,
      { mode: 0o755 },
    );
    writeFileSync(
      cib,
      `<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0">
        <configuration>
          <crm_config><cluster_property_set id="cib-bootstrap-options">
            <nvpair id="fencing" name="stonith-enabled" value="false"/>
          </cluster_property_set></crm_config>
          <nodes/><resources/><constraints/>
        </configuration>
        <status/>
      </cib>`,
    );
    const makes = async (address: string): Promise<string> => {
      const { code, text } = await runProgramFile('/bin/sh', [join(DEPLOY, 'pacemaker/cluster.sh')], {
        env: { PATH: `${path}:${process.env['PATH']}`, ICI_ADDRESS: address },
      });
      expect({ code, text: code === 0 ? '' : text }).toEqual(OK);
      return readFileSync(cib, 'utf8');
    };
    await makes('10.0.1.9');
    // Run again, it changes the address and nothing else.
    const made = await makes('10.0.1.10');
    expect(made).toContain('name="ip" value="10.0.1.10"');
    expect(made.match(/<rsc_location /g)).toHaveLength(1);
    expect([...made.matchAll(/<primitive id="([^"]+)"/g)].map(([, id]) => id)).toEqual([
      'ici-gateway',
      'ici-gateway-state',
      'ici-address',
    ]);
    expect(made).toMatch(/<expression [^>]*attribute="ici-gateway-running"/);
    expect(await runTool('crm_verify', ['-x', cib])).toEqual(OK);
  });

  test('the resource agent writes whether the gateway is Running', async () => {
    const path = folder('agent');
    const told = join(path, 'told');
    writeFileSync(join(path, 'attrd_updater'), `#!/bin/sh\necho "$*" >>${told}\n`, { mode: 0o755 });
    let state = 200;
    const gateway = createServer((_request, response) => response.writeHead(state).end());
    await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
    const { port } = gateway.address() as AddressInfo;
    const act = async (action: string): Promise<number | null> => {
      const { code } = await runProgramFile(join(DEPLOY, 'pacemaker/ici-gateway-state'), [action], {
        env: {
          PATH: `${path}:${process.env['PATH']}`,
          HA_RSCTMP: join(path, 'run'),
          OCF_RESKEY_url: `http://127.0.0.1:${port}/`,
        },
      });
      return code;
    };
    try {
      expect(await act('monitor'), 'before the start').toBe(7);
      expect(await act('start')).toBe(0);
      state = 503;
      expect(await act('monitor'), 'that the gateway stops is no failure').toBe(0);
      state = 200;
      expect(await act('monitor')).toBe(0);
    } finally {
      await new Promise((resolve) => gateway.close(resolve));
    }
    expect(await act('monitor'), 'a gateway that does not answer is no failure of the agent either').toBe(0);
    expect(await act('stop')).toBe(0);
    expect(await act('monitor')).toBe(7);
    expect(readFileSync(told, 'utf8').trim().split('\n')).toEqual([
      ...['1', '0', '1', '0'].map((value) => `-n ici-gateway-running -U ${value}`),
      '-n ici-gateway-running -D',
    ]);
  });
});

describe.concurrent('the rest', () => {
  test('BIND accepts the zone', async () => {
    const { code, text } = await runTool('named-checkzone', [
      'ici.example.com',
      join(DEPLOY, 'dns/db.ici.example.com'),
    ]);
    expect({ code, text }).toEqual({ code: 0, text: expect.stringMatching(/OK\n$/) });
  });

  test('shellcheck finds nothing in the scripts', async () => {
    const scripts = ['deploy/pacemaker/cluster.sh', 'deploy/pacemaker/ici-gateway-state', '.ci/run'];
    expect(await runTool('shellcheck', scripts, { cwd: ROOT })).toEqual(OK);
  });
});
