import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig } from '../../../src/config/load.ts';
import { parseDuration } from '../../../src/config/units.ts';
import { ERRORS } from '../../../src/core/errors.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { runCommand } from '../../support/cli.ts';

/** Checks the statements in the files of `deploy/` against the gateway. */

const DEPLOY = new URL('../../../deploy/', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, DEPLOY), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook_url: string };
}

const RULES = (parse(read('prometheus/alerts.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  ({ rules }) => rules,
);
const RUNBOOK = read('RUNBOOK.md');

describe('queries', () => {
  // Labels that a scrape adds: `instance` then names the gateway, and our label of that name is renamed.
  const SCRAPED = ['job', 'instance', 'exported_instance', 'le'];
  const labelsOf = new Map<string, readonly string[]>([['up', []]]);
  const metrics = new Metrics().registry.getMetricsAsArray() as unknown as {
    readonly name: string;
    readonly type: string;
    readonly labelNames?: readonly string[];
  }[];
  for (const { name, type, labelNames = [] } of metrics) {
    const series = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of series) labelsOf.set(`${name}${suffix}`, labelNames);
  }
  const everyLabel = new Set([...SCRAPED, ...[...labelsOf.values()].flat()]);

  /** The unknown names in a query. */
  function problemsOf(query: string): string[] {
    const problems: string[] = [];
    const selectors = [...query.matchAll(/\b((?:gateway|process|nodejs)_\w+|up)\b(?:\{([^}]*)\})?/g)];
    if (selectors.length === 0) problems.push('asks for nothing');
    for (const [, name = '', matchers = ''] of selectors) {
      const known = labelsOf.get(name);
      if (known === undefined) problems.push(`${name} is no metric`);
      for (const [, label = ''] of matchers.matchAll(/(\w+)\s*[!=]=?~?\s*"/g)) {
        if (!SCRAPED.includes(label) && known?.includes(label) !== true)
          problems.push(`${name} has no label ${label}`);
      }
    }
    for (const [, labels = ''] of query.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const label of labels.split(',').map((one) => one.trim()))
        if (!everyLabel.has(label)) problems.push(`${label} is a label of no metric`);
    }
    return problems;
  }

  test.each(RULES)('of the alert $alert name metrics and labels that exist', ({ expr }) => {
    expect(problemsOf(expr)).toEqual([]);
  });

  test('of the dashboard name metrics and labels that exist', () => {
    const dashboard = read('grafana/ici-gateway.json');
    const queries = [...dashboard.matchAll(/"expr": ("(?:[^"\\]|\\.)*")/g)].map(
      ([, text = '']) => JSON.parse(text) as string,
    );
    expect(queries.length).toBeGreaterThan(30);
    for (const query of queries) expect(problemsOf(query), query).toEqual([]);
    for (const [, label = ''] of dashboard.matchAll(/\{\{(\w+)\}\}/g)) expect(everyLabel).toContain(label);
  });

  test('with a misspelt metric or label are found', () => {
    expect(problemsOf('sum by (poll) (gateway_instance_upp{job="x"})')).toEqual([
      'gateway_instance_upp is no metric',
      'poll is a label of no metric',
    ]);
    expect(problemsOf('gateway_instance_up{pol="ici"}')).toEqual(['gateway_instance_up has no label pol']);
  });
});

describe('the runbook', () => {
  const headings = [...RUNBOOK.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text);
  const parts = new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    ),
  );

  test.each(RULES)(
    'has the section to which the alert $alert points, and the section names the alert',
    ({ alert, annotations }) => {
      const runbook = annotations.runbook_url.split('#').at(-1) ?? '';
      expect(parts).toContain(runbook);
      const part = RUNBOOK.split(/^#+ /m).find((text) => text.startsWith(`${runbook}\n`));
      expect(part).toContain(`\`${alert}\``);
    },
  );

  test('links only to sections that exist', () => {
    const links = [...RUNBOOK.matchAll(/\]\(#([^)]+)\)/g)].map(([, link]) => link);
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect(parts).toContain(link);
  });

  test('names error codes that exist', () => {
    for (const [code] of RUNBOOK.matchAll(/\bGW_[A-Z_]+\b/g)) expect(Object.keys(ERRORS)).toContain(code);
  });

  test('contains only existing commands with existing flags', async () => {
    const commands = [...RUNBOOK.matchAll(/\bici-gateway ((?:[a-z-]+ ?)+)([^`\n|#]*)/g)].filter(
      ([, words = '']) => /^(start|check|admin|restart|reload|stop|simulate|demo)\b/.test(words),
    );
    expect(commands.length).toBeGreaterThan(15);
    for (const [command, words = '', rest = ''] of commands) {
      const path = words.trim().split(' ');
      const help = await helpOf(path.slice(0, path[0] === 'admin' ? 2 : 1));
      const flags = [...`${words}${rest}`.matchAll(/ (--[a-z-]+)/g)].map(([, flag = '']) => flag);
      for (const flag of flags) expect(help, command).toContain(flag);
    }
  });
});

/** The help of a command; fails if the command does not exist. */
async function helpOf(path: readonly string[]): Promise<string> {
  const { code, out, err } = await runCommand([...path, '--help']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  // For an unknown command, commander shows the help of the parent.
  expect(out).toContain(`Usage: ici-gateway ${path.join(' ')} `);
  return out;
}

describe('the stop timeout is longer than the configured shutdown of a gateway', () => {
  /** The margin, because the timers of two programs never agree exactly. */
  const MARGIN_MS = 5_000;

  test('from systemd', () => {
    const unit = read('systemd/ici-gateway.service');
    const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]);
    for (const file of readdirSync(new URL('examples', DEPLOY))) {
      const { lifecycle } = parse(read(`examples/${file}`)) as { lifecycle?: { shutdownTimeout?: string } };
      const timeoutMs = parseDuration(lifecycle?.shutdownTimeout ?? '') ?? defaults().shutdownTimeout;
      expect(seconds * 1_000, file).toBeGreaterThanOrEqual(timeoutMs + MARGIN_MS);
    }
  });

  test('from docker-compose', () => {
    const compose = parse(readFileSync(new URL('../docker-compose.yml', DEPLOY), 'utf8'), {
      merge: true,
    }) as {
      services: Record<string, { stop_grace_period: string }>;
    };
    const { lifecycle } = configOf(read('compose/gateway.yaml'));
    for (const name of ['gateway-1', 'gateway-2']) {
      const grace = parseDuration(compose.services[name]?.stop_grace_period ?? '') ?? 0;
      expect(grace, name).toBeGreaterThanOrEqual(lifecycle.shutdownTimeout + MARGIN_MS);
    }
  });

  test('from Kubernetes, after the sleep of preStop', () => {
    const { pod, container } = kubernetes();
    const sleep = Number(container.lifecycle.preStop.exec.command[1]);
    expect(sleep).toBeGreaterThan(0);
    const { lifecycle } = configOf(kubernetes().configuration);
    expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(
      sleep * 1_000 + lifecycle.shutdownTimeout + MARGIN_MS,
    );
  });

  function defaults() {
    return configOf('pools: [{ name: ici, instances: [{ id: a, url: "http://10.0.0.1" }] }]').lifecycle;
  }
});

describe('the balancers notice a stopping gateway before it stops accepting', () => {
  // The value in the configurations beside them.
  const POLL_MS = 5_000;

  test('the configurations give them 5 s', () => {
    const files = [
      ...readdirSync(new URL('examples', DEPLOY)).map((name) => `examples/${name}`),
      'compose/gateway.yaml',
    ];
    for (const file of files) {
      const { lifecycle } = parse(read(file)) as { lifecycle?: { statusPollInterval?: string } };
      expect(parseDuration(lifecycle?.statusPollInterval ?? ''), file).toBe(POLL_MS);
    }
  });

  test.each(['haproxy/haproxy.cfg', 'haproxy/haproxy-proxy-protocol.cfg', 'compose/haproxy.cfg'])(
    '%s',
    (file) => {
      const [, inter = '', fall = ''] =
        /default-server .*\binter (\w+) .*\bfall (\d+)/.exec(read(file)) ?? [];
      const check = /timeout check (\w+)/.exec(read(file))?.[1] ?? '';
      const longest =
        (parseDuration(inter) ?? Number.NaN) * Number(fall) + (parseDuration(check) ?? Number.NaN);
      expect(longest).toBeLessThan(POLL_MS);
    },
  );

  test('keepalived/keepalived.conf', () => {
    const [interval, timeout, fall] = ['interval', 'timeout', 'fall'].map((word) =>
      Number(new RegExp(`^    ${word} (\\d+)$`, 'm').exec(read('keepalived/keepalived.conf'))?.[1]),
    ) as [number, number, number];
    expect((interval * fall + timeout) * 1_000).toBeLessThan(POLL_MS);
  });
});

/** A configuration as `start` accepts it, without warnings. The test creates the secret files that it names. */
function configOf(text: string) {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-deploy-'));
  try {
    for (const [, name = ''] of text.matchAll(/\/run\/secrets\/ici-gateway\/(\S+)/g)) {
      const published = new URL(`compose/${name}`, DEPLOY);
      const secret = existsSync(published) ? readFileSync(published) : 'a-secret-of-24-characters';
      writeFileSync(join(directory, name), secret, { mode: 0o600 });
    }
    const file = join(directory, 'gateway.yaml');
    writeFileSync(file, text.replaceAll('/run/secrets/ici-gateway', directory));
    const { config, warnings } = loadConfig({ file, env: {} });
    expect(warnings).toEqual([]);
    return config;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The parts of the manifest that this test reads; the deploy tests check it against the types of the API. */
interface Manifest {
  readonly kind: string;
  readonly data: Readonly<Record<string, string>>;
  readonly spec: {
    readonly selector: Labels & { readonly matchLabels: Labels };
    readonly podSelector: { readonly matchLabels: Labels };
    readonly ports: readonly { readonly targetPort: string }[];
    readonly ingress: readonly { readonly ports: readonly { readonly port: string }[] }[];
    readonly template: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly containers: readonly [Container];
      };
    };
  };
}

type Labels = Readonly<Record<string, unknown>>;

interface Container {
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly startupProbe: Probe;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

function kubernetes() {
  const manifests = parseAllDocuments(read('kubernetes/ici-gateway.yaml')).map(
    (document) => document.toJS() as Manifest,
  );
  const of = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);
  const [deployment] = of('Deployment');
  const [map] = of('ConfigMap');
  if (deployment === undefined || map === undefined)
    throw new Error('a Deployment and a ConfigMap are missing');
  const pod = deployment.spec.template.spec;
  return { of, deployment, pod, container: pod.containers[0], configuration: map.data['gateway.yaml'] ?? '' };
}

describe('the manifest for Kubernetes', () => {
  const { of, deployment, container, configuration } = kubernetes();

  test('selects its own pods everywhere', () => {
    const { labels } = deployment.spec.template.metadata;
    const selectors = [
      deployment.spec.selector.matchLabels,
      ...of('Service').map(({ spec }) => spec.selector),
      ...of('PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels),
      ...of('NetworkPolicy').map(({ spec }) => spec.podSelector.matchLabels),
    ];
    expect(selectors).toHaveLength(5);
    for (const selector of selectors) expect(labels).toMatchObject(selector);
  });

  test('names ports of the container that its configuration opens', () => {
    const port = (name: string) => container.ports.find((one) => one.name === name)?.containerPort;
    const { listen, admin } = parse(configuration) as Record<'listen' | 'admin', { address: string }>;
    expect([listen.address, admin.address]).toEqual([`0.0.0.0:${port('ici')}`, `0.0.0.0:${port('admin')}`]);
    const named = [
      ...[container.readinessProbe, container.livenessProbe, container.startupProbe].map(
        (probe) => probe.httpGet.port,
      ),
      ...of('Service').flatMap(({ spec }) => spec.ports.map(({ targetPort }) => targetPort)),
      ...of('NetworkPolicy').flatMap(({ spec }) =>
        spec.ingress.flatMap(({ ports }) => ports.map((one) => one.port)),
      ),
    ];
    expect(named).toHaveLength(7);
    for (const name of named) expect(port(name), name).toBeGreaterThan(0);
  });
});
