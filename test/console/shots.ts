import type { Page, Route } from 'playwright-core';
import type { Console } from './console.ts';
import type { UserName } from './users.ts';

/** The states of a panel that pictures are made of. */
export const STATES = ['ready', 'loading', 'empty', 'partial', 'stale', 'error'] as const;
export type State = (typeof STATES)[number];

export const PAGES: Readonly<Record<string, string>> = {
  overview: '#/',
  agents: '#/agents?pool=ici',
  agent: '#/agents/ici/MILLER',
  pool: '#/pools/ici',
  'pool-failover': '#/pools/phone',
  drain: '#/pools/ici/drain/b',
  history: '#/pools/ici/history',
  gateway: '#/gateway',
  events: '#/events?pool=ici',
  config: '#/config',
  explain: '#/explain?pool=ici&user=MILLER',
  live: '#/live?pool=ici',
  errors: '#/errors',
};

/** Older than what any page takes for new. */
const STALE_MS = 60_000;
const DATA = /\/(status|pools|gateways|config|security-log|reload|requests|errors)(\/|\?|$)/;

/** Prepares the answers of the gateway before the page is opened. */
export async function prepare(page: Page, state: State): Promise<void> {
  if (state === 'loading') await page.route(DATA, () => undefined);
  if (state === 'error') await page.route(DATA, (route) => route.abort('connectionrefused'));
  if (state === 'empty') await page.route(DATA, (route) => changed(route, emptied));
  if (state === 'partial') await page.route(DATA, (route) => changed(route, halved));
  if (state === 'stale') await page.clock.install();
}

/** Brings about what can only happen to a page that is open. */
export async function age(page: Page, state: State): Promise<void> {
  if (state !== 'stale') return;
  await page.route(DATA, (route) => route.abort('connectionrefused'));
  await page.clock.fastForward(STALE_MS);
  await page.locator('[data-state="stale"]').first().waitFor();
}

type Body = Record<string, unknown>;

/** Passes the gateway's answer on with another body. The stream of the status ends, so that the page asks for it. */
async function changed(route: Route, change: (body: Body) => Body): Promise<void> {
  const { pathname } = new URL(route.request().url());
  if (pathname === '/status/stream') return route.fulfill({ status: 204 });
  try {
    const response = await route.fetch();
    if (!response.ok()) await route.fulfill({ response });
    else await route.fulfill({ response, json: change((await response.json()) as Body) });
  } catch {
    // The picture is made, and its page is closed.
  }
}

const EMPTY: Body = {
  agents: [],
  requests: [],
  errors: [],
  unnamedOperations: [],
  events: [],
  entries: [],
  gateways: [],
  alarms: [],
  next: null,
  remaining: 0,
  knownSeconds: [],
  epochs: [],
};

function emptied(body: Body): Body {
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, key in EMPTY ? EMPTY[key] : value]),
  );
}

/** As it is beside an earlier release, or with more than one answer can hold. A status is always whole. */
function halved(body: Body): Body {
  if (Array.isArray(body['gateways'])) {
    const [first = {}, ...others] = body['gateways'] as Body[];
    const unknown = Object.fromEntries(Object.keys(first).map((key) => [key, null]));
    return {
      ...body,
      gateways: [first, ...others, { ...unknown, replica: 'earlier', self: false, pools: [] }],
    };
  }
  if (Array.isArray(body['events'])) {
    const [first] = body['events'] as Body[];
    return { ...body, events: Array.from({ length: 200 }, (_none, i) => ({ ...first, at: timeOf(i) })) };
  }
  if (Array.isArray(body['silent'])) return { ...body, silent: ['worker-2'] };
  if (Array.isArray(body['knownSeconds'])) {
    const known = body['knownSeconds'] as number[];
    const first = known.indexOf(1);
    return { ...body, knownSeconds: known.map((seconds, i) => (i === first + 2 ? 0 : seconds)) };
  }
  if ('remaining' in body) return { ...body, remaining: Number(body['remaining']) + 1_200 };
  if ('boundSince' in body)
    return {
      ...body,
      boundSince: null,
      cause: { kind: 'unknown', gateway: null, balancer: null, epoch: null, by: null, why: null },
      sentence: `${String(body['name'])} is on ${String(body['instance'])}.`,
    };
  return body;
}

const timeOf = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();

/** What is no state of a panel: dialogs, the log-in, and what became of an act. */
export interface Scene {
  readonly name: string;
  readonly hash: string;
  readonly user?: UserName | null;
  readonly play: (ui: Console) => Promise<unknown>;
}

const drainA = (ui: Console): Promise<void> =>
  ui.begin(ui.page.locator('[data-testid="instance-card"][data-instance="a"]').getByTestId('act-drain'));

async function confirmed(ui: Console, why: string): Promise<void> {
  await drainA(ui);
  await ui.id('confirm-why').fill(why);
  await ui.id('confirm-ok').click();
}

export const SCENES: readonly Scene[] = [
  {
    name: 'explained',
    hash: '#/explain?pool=ici&user=MILLER',
    play: async (ui) => {
      await ui.loaded();
      await ui.id('explain-ok').click();
      await ui.id('explanation').waitFor();
      await ui.id('what-if-instance').selectOption('a');
      await ui.id('what-if-ok').click();
      await ui.id('what-if-answer').waitFor();
    },
  },
  { name: 'login', hash: '#/', user: null, play: (ui) => ui.id('page-login').waitFor() },
  {
    name: 'login-wrong',
    hash: '#/',
    user: null,
    play: async (ui) => {
      await ui.id('login-user').fill('ada');
      await ui.id('login-password').fill('wrong');
      await ui.id('login-ok').click();
      await ui.id('login-problem').waitFor();
    },
  },
  {
    name: 'session-ended',
    hash: '#/agents?pool=ici',
    play: async (ui) => {
      await ui.loaded();
      await ui.context.clearCookies();
      await ui.id('page-login').waitFor();
    },
  },
  { name: 'viewer', hash: '#/pools/ici', user: 'vera', play: (ui) => ui.loaded() },
  {
    name: 'find',
    hash: '#/',
    play: async (ui) => {
      await ui.id('find-agent').fill('A');
      await ui.page.getByRole('option').nth(3).waitFor();
      await ui.page.keyboard.press('ArrowDown');
    },
  },
  {
    name: 'find-unknown',
    hash: '#/',
    play: async (ui) => {
      await ui.id('find-agent').fill('NOT-THERE');
      await ui.page.keyboard.press('Enter');
      await ui.id('find-answer').waitFor();
    },
  },
  { name: 'agent-unknown', hash: '#/agents/ici/NOT-THERE', play: (ui) => ui.loaded() },
  { name: 'unknown-page', hash: '#/no/such/page', play: (ui) => ui.id('page-unknown').waitFor() },
  {
    name: 'help',
    hash: '#/',
    play: async (ui) => {
      await ui.loaded();
      await ui.page.keyboard.press('?');
    },
  },
  {
    name: 'act-asked',
    hash: '#/pools/ici',
    play: async (ui) => {
      await drainA(ui);
      await ui.id('confirm-why').fill('patch of the host');
    },
  },
  {
    name: 'act-move',
    hash: '#/agents/ici/MILLER',
    play: (ui) => ui.begin(ui.id('act-move')),
  },
  { name: 'act-stop', hash: '#/gateway', play: (ui) => ui.begin(ui.id('act-stop')) },
  { name: 'act-reload', hash: '#/gateway', play: (ui) => ui.begin(ui.id('act-reload')) },
  {
    name: 'act-failback-policy',
    hash: '#/pools/phone',
    play: (ui) => ui.begin(ui.id('act-failback-policy')),
  },
  {
    name: 'act-pending',
    hash: '#/pools/ici',
    play: async (ui) => {
      await ui.page.route('**/drain', () => undefined);
      await confirmed(ui, 'patch of the host');
      await ui.acted('pending');
    },
  },
  {
    name: 'act-accepted',
    hash: '#/pools/ici',
    play: async (ui) => {
      await ui.page.route('**/drain', (route) =>
        route.fulfill({ status: 202, json: { epoch: 1_000, inEffect: false } }),
      );
      await confirmed(ui, 'patch of the host');
      await ui.acted('accepted');
    },
  },
  {
    name: 'act-in-effect',
    hash: '#/pools/ici',
    play: async (ui) => {
      await ui.page.route('**/drain', (route) => route.fulfill({ json: { epoch: 1, inEffect: true } }));
      await confirmed(ui, 'patch of the host');
      await ui.acted('in effect');
    },
  },
  {
    name: 'act-failed',
    hash: '#/pools/ici',
    play: async (ui) => {
      const error = 'the view has changed since it was shown: bob disabled instance b';
      await ui.page.route('**/drain', (route) => route.fulfill({ status: 409, json: { error, view: 'x' } }));
      await confirmed(ui, 'patch of the host');
      await ui.acted('failed');
    },
  },
];
