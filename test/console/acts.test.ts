import type { Browser, Locator } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

// What rebalancing needs.
const KNOWS_LOG_OFFS = {
  identity: { logon: [{ operation: 'logOn' }], logoff: [{ operation: 'logOff' }] },
};

let browser: Browser;
let stage: Stage;
let ui: Console;

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start({ more: KNOWS_LOG_OFFS })]);
  await stage.bind(['MILLER', 'SMITH', 'JONES', 'BROWN', 'TAYLOR', 'DAVIES']);
});
afterEach(() => ui.close());
afterAll(async () => {
  await browser.close();
  await stage.close();
});

interface TriedAct {
  readonly name: string;
  readonly hash: string;
  readonly button: (one: Console) => Locator;
  /** Fills in what the act asks for beside the reason. */
  readonly fields?: (one: Console) => Promise<unknown>;
  /** Brings about the state in which the act makes sense; runs before the act of the console and that of the command. */
  readonly before?: () => Promise<unknown>;
  /** The state that the act changes, as the other gateway shows it. */
  readonly state: () => Promise<unknown>;
}

const row = (one: Console, instance: string): Locator =>
  one.page.locator(`[data-testid="instance-card"][data-instance="${instance}"]`);
const operate = (...words: readonly string[]) => stage.did(['admin', ...words, '--why', 'preparation']);
const inPool = (pool: string, verb: string, instance: string) => ({
  hash: `#/pools/${pool}`,
  button: (one: Console) => row(one, instance).getByTestId(`act-${verb}`),
  state: async () => {
    const { admin, act, quarantined, active } = await stage.instance(pool, instance, 1);
    return { admin, why: act?.why, deadline: act?.deadline === null, quarantined, active };
  },
});

const rebalanced = async () => {
  const { rebalance } = await stage.pool('ici', 1);
  return rebalance && { until: rebalance.until, why: rebalance.why };
};

// The same for the command and the console.
const IN_AN_HOUR = new Date(Date.now() + 3_600_000).toISOString();

const ACTS: readonly TriedAct[] = [
  { name: 'drain', ...inPool('ici', 'drain', 'b'), before: () => operate('enable', 'ici', 'b') },
  {
    name: 'drain with a deadline',
    ...inPool('ici', 'drain', 'b'),
    before: () => operate('enable', 'ici', 'b'),
    fields: (one) => one.id('confirm-deadline').fill('30m'),
  },
  { name: 'disable', ...inPool('ici', 'disable', 'b'), before: () => operate('enable', 'ici', 'b') },
  { name: 'enable', ...inPool('ici', 'enable', 'b'), before: () => operate('disable', 'ici', 'b') },
  {
    name: 'release',
    ...inPool('ici', 'release', 'c'),
    before: async () => {
      // Cut off for a while, and not restarted.
      await stage.connector('c').behave({ mode: 'refuse' });
      await eventually(async () => expect((await stage.instance('ici', 'c')).health).toBe('down'));
      await stage.connector('c').behave({ mode: 'normal' });
      await eventually(async () =>
        expect(await stage.instance('ici', 'c')).toMatchObject({ health: 'up', quarantined: true }),
      );
    },
  },
  {
    name: 'activate',
    ...inPool('phone', 'activate', 'b'),
    before: async () => {
      if ((await stage.pool('phone')).active?.instance !== 'a') await operate('activate', 'phone', 'a');
    },
  },
  {
    name: 'failback',
    hash: '#/pools/phone',
    button: (one) => one.id('act-failback'),
    before: async () => {
      if ((await stage.pool('phone')).active?.instance !== 'b') await operate('activate', 'phone', 'b');
    },
    state: async () => (await stage.pool('phone', 1)).active?.instance,
  },
  {
    name: 'failback-policy',
    hash: '#/pools/phone',
    button: (one) => one.id('act-failback-policy'),
    fields: async (one) => {
      await one.id('confirm-policy').selectOption('at');
      await one.id('confirm-zone').fill('Europe/Berlin');
    },
    before: () => operate('failback-policy', 'phone', 'never'),
    state: async () => (await stage.pool('phone', 1)).failback,
  },
  {
    name: 'rebalance',
    hash: '#/pools/ici',
    button: (one) => one.id('act-rebalance'),
    fields: (one) => one.id('confirm-until').fill(IN_AN_HOUR),
    before: () => operate('rebalance', 'ici', '--end'),
    state: rebalanced,
  },
  {
    name: 'rebalance-end',
    hash: '#/pools/ici',
    button: (one) => one.id('act-rebalance-end'),
    before: () => operate('rebalance', 'ici', '--deadline', IN_AN_HOUR),
    state: async () => (await rebalanced()) === null,
  },
  {
    name: 'move',
    hash: '#/agents/ici/MILLER',
    button: (one) => one.id('act-move'),
    fields: (one) => one.id('confirm-instance').selectOption('b'),
    before: async () => {
      for (const id of ['a', 'b']) await operate('enable', 'ici', id);
      await stage.bind(['MILLER']);
      if ((await placeOf('MILLER')) !== 'a') await operate('move', 'ici', 'MILLER', 'a');
    },
    state: () => placeOf('MILLER'),
  },
  {
    name: 'forget',
    hash: '#/agents/ici/SMITH',
    button: (one) => one.id('act-forget'),
    before: () => stage.bind(['SMITH']),
    state: () => placeOf('SMITH'),
  },
];

/** The state that follows, once the other gateway shows it. */
function changedFrom(before: unknown, state: () => Promise<unknown>): Promise<unknown> {
  return eventually(async () => {
    const now = await state();
    expect(now).not.toEqual(before);
    return now;
  });
}

/** Where the store has the agent, as the other gateway reads it. */
async function placeOf(agent: string): Promise<unknown> {
  const { status, body } = await stage.ask('GET', `/pools/ici/agents/${agent}`, undefined, 1);
  return status === 404 ? 'not bound' : body.instance;
}

/** The latest event of the pool with this reason, as the other gateway reads it from the store. */
async function eventOf(pool: string, why: string) {
  const { body } = await stage.ask('GET', `/pools/${pool}/events?limit=100`, undefined, 1);
  const found = body.events.find((one: { readonly why: string }) => one.why.includes(why));
  if (found === undefined) throw new Error(`no event has the reason ${why}`);
  const { kind, instance, from, to, by } = found;
  return { by, event: { kind, instance, from, to } };
}

describe('an act of the console', () => {
  test.each(ACTS)('$name does what the command beside it does', async (act) => {
    const pool = act.hash.includes('phone') ? 'phone' : 'ici';
    await act.before?.();
    ui = await Console.open(browser, stage, act.hash);
    await ui.loaded();
    await ui.begin(act.button(ui));
    await act.fields?.(ui);
    const byCommand = `${act.name} by command`;
    await ui.id('confirm-why').fill(byCommand);
    const command = await ui.shownCommand();
    await ui.id('confirm-cancel').click();

    const before = await act.state();
    await stage.did(command.slice(1));
    const stateOfCommand = await changedFrom(before, act.state);
    const eventOfCommand = await eventually(() => eventOf(pool, byCommand));

    await act.before?.();
    // Else the dialog asks to look at what has just changed.
    await ui.page.reload();
    await ui.loaded();
    await ui.begin(act.button(ui));
    await act.fields?.(ui);
    const byConsole = `${act.name} by console`;
    await ui.confirm(byConsole);
    const stateOfConsole = await changedFrom(before, act.state);
    const eventOfConsole = await eventually(() => eventOf(pool, byConsole));

    const alike = (state: unknown): unknown =>
      JSON.parse(JSON.stringify(state).replaceAll(byCommand, byConsole));
    expect(stateOfConsole).toEqual(alike(stateOfCommand));
    expect(eventOfConsole.event).toEqual(eventOfCommand.event);
    expect([eventOfCommand.by, eventOfConsole.by]).toEqual(['command-line', 'ada']);
  });

  test('says before and again at the confirmation what it costs, and does nothing on a cost that was not read', async () => {
    await operate('enable', 'ici', 'b');
    ui = await Console.open(browser, stage, '#/pools/ici');
    await ui.begin(row(ui, 'b').getByTestId('act-disable'));
    const shown = ui.id('confirm-consequence');
    await eventually(async () => {
      const { boundAgents } = await stage.instance('ici', 'b');
      expect(await shown.innerText()).toMatch(new RegExp(`^${boundAgents} agents? must`));
      const { body } = await stage.ask('GET', '/pools/ici/instances/b/consequence?act=disable');
      expect(await shown.innerText()).toBe(body.text);
    });
    await ui.id('confirm-cancel').click();
    expect((await stage.instance('ici', 'b')).admin).toBe('enabled');
  });

  test('cannot be confirmed before the page shows what it costs', async () => {
    await operate('enable', 'ici', 'b');
    for (const [hash, verb, question] of [
      ['#/gateway', 'stop', /\/gateways$/],
      ['#/pools/ici', 'disable', /\/consequence/],
    ] as const) {
      ui = await Console.open(browser, stage, hash);
      await ui.loaded();
      let answer = (): void => undefined;
      const isTime = new Promise<void>((resolve) => {
        answer = resolve;
      });
      await ui.page.route(question, async (route) => {
        await isTime;
        await route.continue();
      });
      await (verb === 'stop' ? ui.id('act-stop') : row(ui, 'b').getByTestId('act-disable')).click();
      await ui.id('confirm-why').fill('without a look');
      expect(await ui.id('confirm-consequence').innerText()).toContain('Computing');
      expect(await ui.id('confirm-ok').isDisabled()).toBe(true);
      answer();
      await ui.consequenceShown();
      expect(await ui.id('confirm-consequence').innerText()).toMatch(
        /must log on again|1 other gateway runs/,
      );
      expect(await ui.id('confirm-ok').isEnabled()).toBe(true);
      if (verb === 'stop') await ui.close();
    }
  });

  test('needs a reason', async () => {
    await operate('enable', 'ici', 'b');
    ui = await Console.open(browser, stage, '#/pools/ici');
    await ui.begin(row(ui, 'b').getByTestId('act-drain'));
    expect(await ui.id('confirm-ok').isDisabled()).toBe(true);
    await ui.id('confirm-why').fill('   ');
    expect(await ui.id('confirm-ok').isDisabled()).toBe(true);
    await ui.page.keyboard.press('Escape');
    await ui.id('confirm-ok').waitFor({ state: 'detached' });
  });

  test('is given up by the Back button, and its reason stays out of another act', async () => {
    ui = await Console.open(browser, stage, '#/');
    await ui.loaded();
    await ui.follow('#/pools/ici');
    await ui.begin(row(ui, 'b').getByTestId('act-disable'));
    await ui.id('confirm-why').fill('it burns');
    await ui.page.goBack();
    await ui.id('page-overview').waitFor();
    await eventually(async () => expect(await ui.page.locator('dialog').count()).toBe(0));
    await ui.follow('#/pools/ici');
    await ui.begin(row(ui, 'c').getByTestId('act-disable'));
    expect(await ui.id('confirm-why').inputValue()).toBe('');
  });

  test('acts once on a double click', async () => {
    await operate('enable', 'ici', 'b');
    ui = await Console.open(browser, stage, '#/pools/ici');
    const sent: string[] = [];
    ui.page.on('request', (request) => {
      if (request.method() === 'POST') sent.push(request.url());
    });
    await ui.begin(row(ui, 'b').getByTestId('act-drain'));
    await ui.id('confirm-why').fill('a double click');
    await ui.id('confirm-ok').dblclick();
    await ui.acted('in effect');
    expect(sent.length).toBe(1);
    const events = await eventually(async () => {
      const { body } = await stage.ask('GET', '/pools/ici/events?limit=100');
      const found = body.events.filter((one: { readonly why: string }) => one.why === 'a double click');
      expect(found).not.toEqual([]);
      return found;
    });
    expect(events.length).toBe(1);
  });

  test('is refused on a view that has changed since it was shown, and can be repeated after a look', async () => {
    await operate('enable', 'ici', 'b');
    ui = await Console.open(browser, stage, '#/pools/ici');
    await ui.begin(row(ui, 'b').getByTestId('act-disable'));
    await ui.id('confirm-why').fill('an outdated view');
    await operate('drain', 'ici', 'c');
    await ui.id('confirm-look-again').waitFor();
    expect(await ui.id('confirm-ok').isDisabled()).toBe(true);
    expect((await stage.instance('ici', 'b')).admin).toBe('enabled');
    // What was typed has stayed.
    expect(await ui.id('confirm-why').inputValue()).toBe('an outdated view');
    // What was computed by the view before is no longer what is confirmed.
    await ui.id('confirm-look-again').click();
    await ui.id('confirm-ok').click();
    await ui.acted('in effect');
    await operate('enable', 'ici', 'c');
  });

  test('is refused by the gateway if the page has not learned of the change', async () => {
    await operate('enable', 'ici', 'b');
    ui = await Console.open(browser, stage, null);
    // The page has no stream, and what it asked for once is all that it learns.
    await ui.page.route('**/status/stream', (route) => route.abort());
    await ui.goto('#/pools/ici');
    await ui.loaded();
    await ui.begin(row(ui, 'b').getByTestId('act-disable'));
    await ui.page.getByText('must log on again').waitFor();
    await ui.page.route(/\/(status|consequence)/, (route) => route.abort());
    await operate('drain', 'ici', 'c');
    await ui.id('confirm-why').fill('a silent view');
    await ui.id('confirm-ok').click();
    await ui.page.locator('dialog [role="alert"]').waitFor();
    expect(await ui.page.locator('dialog [role="alert"]').innerText()).toContain('has changed');
    expect((await stage.instance('ici', 'b')).admin).toBe('enabled');
    await operate('enable', 'ici', 'c');
  });

  test('shows a refusal with its cause and the next step', async () => {
    await operate('enable', 'ici', 'b');
    ui = await Console.open(browser, stage, '#/pools/ici');
    await ui.begin(row(ui, 'b').getByTestId('act-drain'));
    await ui.id('confirm-deadline').fill('yesterday');
    await ui.id('confirm-why').fill('a deadline that is none');
    await ui.id('confirm-ok').click();
    await ui.acted('failed');
    expect(await ui.page.locator('dialog [role="alert"]').innerText()).toContain('deadline');
  });
});
