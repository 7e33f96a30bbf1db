import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { filesOf, findingsIn } from '../support/incident.ts';
import { users } from '../support/load.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

let browser: Browser;
let stage: Stage;
const opened: Console[] = [];

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start()]);
  await stage.bind(users(12, 'AGENT'));
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
  for (const connector of stage.connectors) await connector.behave({ mode: 'normal' });
  await stage.did(['admin', 'release', 'ici', 'c', '--why', 'test']).catch(() => undefined);
  await stage.settled();
});
afterAll(async () => {
  await browser.close();
  await stage.close();
});

async function open(hash = '#/', gateway = 0): Promise<Console> {
  const ui = await Console.open(browser, stage, hash, { gateway });
  opened.push(ui);
  await ui.loaded();
  return ui;
}

describe('the overview', () => {
  test('says first whether agents are served, and is quiet if nothing is wrong', async () => {
    const ui = await open();
    const verdict = ui.page.locator('[data-testid="verdict"][data-level="ok"]');
    await verdict.waitFor();
    expect(await verdict.innerText()).toContain('Agents are served.');
    await ui.panelIs('alarms', 'empty');
    // Web Dispatcher's word for the state.
    await ui.page.locator('header.top', { hasText: 'Running' }).waitFor();
    await eventually(async () =>
      expect(await ui.page.locator('.level-warning, .level-critical').allInnerTexts()).toEqual([]),
    );
  });

  test('has alarms, pools, instances, gateways and curves, in this order', async () => {
    const ui = await open();
    const order = await ui.page
      .locator('[data-testid^="panel-"]')
      .evaluateAll((panels) => panels.map((panel) => panel.getAttribute('data-testid')));
    expect(order).toEqual(
      ['alarms', 'pools', 'instances', 'gateways', 'curves'].map((name) => `panel-${name}`),
    );
  });

  test('shows each instance as the command line does', async () => {
    const ui = await open();
    const { pools } = JSON.parse(await stage.did(['admin', 'status'], 1));
    const [{ instances }] = pools;
    for (const { id, boundAgents, incarnation } of instances)
      await eventually(async () => {
        const text = await ui.card(id).first().innerText();
        expect(text).toContain(incarnation);
        expect(text).toMatch(new RegExp(`Agents\\s+${boundAgents}\\b`));
        expect(text).toContain('up, by all 2 gateways');
      });
  });

  test('shows a lost instance with its alarm, since when, what failed and what to do', async () => {
    const ui = await open();
    await stage.connector('c').behave({ mode: 'refuse' });
    const card = ui.page.locator('[data-testid="instance-card"][data-instance="c"][data-state="down"]');
    await card.waitFor();
    // The colour is never alone: a word and a sign say the same.
    // What the own probe found may come after what the gateways agree on.
    await eventually(async () => expect(await card.innerText()).toMatch(/down[\s\S]*refused/i));
    const { alarms } = await stage.status();
    const first = alarms.find(({ instance }) => instance === 'c');
    const alarm = ui.id('alarm').filter({ hasText: first?.text ?? 'no alarm of c' });
    await alarm.filter({ hasText: first?.remedy ?? '' }).waitFor();
    const href = await alarm.getByRole('link', { name: 'Runbook' }).getAttribute('href');
    const runbook = await ui.context.newPage();
    await runbook.goto(`${ui.url}${href}`);
    const anchor = href?.split('#')[1] ?? '';
    expect(await runbook.locator(`[id="${anchor}"]`).count()).toBe(1);
    await runbook.close();
    await ui.page.locator('[data-testid="verdict"]:not([data-level="ok"])').waitFor();
  });

  test('says that agents are not served if no instance is up', async () => {
    const ui = await open();
    for (const connector of stage.connectors) await connector.behave({ mode: 'refuse' });
    const verdict = ui.page.locator('[data-testid="verdict"][data-level="critical"]');
    await verdict.waitFor();
    expect(await verdict.innerText()).toContain('not served');
  });

  test('lists the gateways as the command line does, with a link to the console of the other', async () => {
    const ui = await open();
    const { gateways } = JSON.parse(await stage.did(['admin', 'gateways']));
    expect(gateways.length).toBe(2);
    for (const { replica, state, version } of gateways) {
      const row = ui.page.locator(`[data-testid="gateway-row"][data-replica="${replica}"]`);
      await eventually(async () => {
        expect(await row.innerText()).toContain(state);
        expect(await row.innerText()).toContain(version);
      });
    }
  });

  test('is at the prefix of the state page too', async () => {
    const ui = await open();
    await ui.page.goto(`${ui.url}/sap/wdisp/admin`);
    await ui.id('page-overview').waitFor();
  });

  test('has a button that downloads an archive, whose first page names the fault', async () => {
    const ui = await open();
    await stage.connector('c').behave({ mode: 'refuse' });
    await ui.page.locator('[data-testid="instance-card"][data-instance="c"][data-state="down"]').waitFor();
    const [download] = await Promise.all([ui.page.waitForEvent('download'), ui.id('incident').click()]);
    expect(download.suggestedFilename()).toMatch(/^incident-\d{8}T\d{6}Z\.tar\.gz$/);
    const parts: Buffer[] = [];
    for await (const part of await download.createReadStream()) parts.push(part as Buffer);
    const findings = findingsIn(await filesOf(Buffer.concat(parts)));
    expect(findings).toContainEqual(expect.stringMatching(/^instance c of .* is down/));
  });

  test('draws curves while it is open', async () => {
    const ui = await open();
    await eventually(async () => expect(await ui.panel('curves').locator('canvas').count()).toBe(4));
  });
});

test('the page of a pool shows how requests named their agents, and which did not', async () => {
  await stage.searchAgents();
  const ui = await open('#/pools/ici');
  await eventually(async () => {
    const text = await ui.panel('identity').innerText();
    for (const shown of ['user in the header: 9', 'no agent: ', 'refused', 'searchAgents'])
      expect(text).toContain(shown);
    expect(text).toContain('wildcard (SOAP body)');
  });
  const help = ui.panel('identity').getByRole('link');
  expect(await help.getAttribute('href')).toBe('/runbook#agents-unnamed');
});

test('the page of a pool says which instances are reached through peers, and the overview where gateways take such requests', async () => {
  const ui = await open('#/pools/ici');
  const row = ui.page.locator('[data-testid="instance-card"][data-instance="a"]');
  await row.waitFor();
  expect(await row.innerText()).not.toContain('peers');
  // As if this gateway alone were cut off from an instance.
  await ui.page.route(/\/status(\/stream)?$/, async (route) => {
    const { body } = await stage.ask('GET', '/status');
    for (const { instances } of body.pools) instances[0].relays = { active: true, sent: 12, taken: 3 };
    const stream = `event: status\ndata: ${JSON.stringify(body)}\n\n`;
    if (!route.request().url().endsWith('/stream')) await route.fulfill({ json: body });
    else await route.fulfill({ contentType: 'text/event-stream', body: stream });
  });
  await ui.page.route(/\/gateways$/, async (route) => {
    const { body } = await stage.ask('GET', '/gateways');
    body.gateways[1].relayAt = '10.0.0.2:8010';
    await route.fulfill({ json: body });
  });
  await ui.page.reload();
  await eventually(async () =>
    expect(await row.innerText()).toMatch(
      /through peers 12 requests to peers and 3 from peers in 15 minutes/i,
    ),
  );
  await ui.goto('#/');
  const other = ui.page.locator('[data-testid="gateway-row"]').nth(1);
  await eventually(async () => expect(await other.innerText()).toContain('10.0.0.2:8010'));
});

test('the page of a pool says how soon its instances answer probes, and what that says about health.profile', async () => {
  const ui = await open('#/pools/ici');
  await eventually(async () => {
    expect(await ui.panel('pool').innerText()).toMatch(
      /probes watched for \d+\w+ only, since .* UTC; advice needs a day/,
    );
    const row = ui.page.locator('[data-testid="instance-card"][data-instance="a"]');
    expect(await row.innerText()).toMatch(/answers half of the probes in [\d.]+ ms, 99 % in [\d.]+ ms/);
  });
});

describe('the configuration', () => {
  test('shows the value of each option in effect, with its default and where it comes from', async () => {
    const ui = await open('#/config');
    const option = ui.page.locator('[data-testid="option-row"][data-option="pools[0].mode"]');
    await option.waitFor();
    const cells = await option.locator('td').allInnerTexts();
    expect(cells).toEqual(['sticky', 'failover', expect.stringContaining('gateway.yaml')]);
    await ui.id('filter-search').fill('keyPrefix');
    await eventually(async () => expect(await ui.id('option-row').count()).toBe(1));
  });

  test('shows no secret', async () => {
    const ui = await open('#/config');
    const { body } = await stage.ask('GET', '/config');
    const secret = String(body.secret ?? '');
    const text = await ui.id('page-config').innerText();
    expect(text).not.toContain('token-of-the-command-line');
    if (!/^\W*$/.test(secret)) expect(text).toContain(secret);
  });
});

describe('the events', () => {
  test('show who did what and why, as the command line lists them, and can be filtered and downloaded', async () => {
    await stage.did(['admin', 'drain', 'ici', 'b', '--why', 'patch of the host']);
    await stage.did(['admin', 'enable', 'ici', 'b', '--why', 'patched']);
    const ui = await open('#/events?pool=ici&kind=admin');
    const row = ui.id('event-row').filter({ hasText: 'patch of the host' });
    await row.waitFor();
    expect(await row.innerText()).toContain('command-line');
    const listed = JSON.parse(await stage.did(['admin', 'events', 'ici', '--kind', 'admin'], 1)).events;
    await eventually(async () => expect(await ui.id('event-row').count()).toBe(listed.length));
    await ui.id('filter-by').fill('no-such-operator');
    await ui.panelIs('events', 'empty');
    await ui.id('filter-by').fill('command-line');
    await row.waitFor();
    const mine = listed.filter(({ by }: { readonly by: string }) => by === 'command-line');
    await eventually(async () => expect(await ui.id('event-row').count()).toBe(mine.length));
    const [download] = await Promise.all([ui.page.waitForEvent('download'), ui.id('download-json').click()]);
    let text = '';
    for await (const part of await download.createReadStream()) text += String(part);
    expect(JSON.parse(text)).toEqual(mine);
    // A time that cannot be read does not filter, and the page says so.
    await ui.id('filter-since').fill('yesterday');
    await ui.panelIs('events', 'partial');
    expect(await ui.panel('events').innerText()).toContain('events of all times are shown');
    expect(await ui.id('filter-since').getAttribute('aria-invalid')).toBe('true');
  });

  test('show an administrator the security log', async () => {
    const ui = await open('#/events');
    const row = ui.page.locator('[data-testid="security-row"][data-kind="login"]').first();
    await row.waitFor();
    expect(await row.innerText()).toContain('ada');
  });
});

describe('the drain', () => {
  test('shows who is left as the command line does, and ends at once on demand', async () => {
    await stage.did(['admin', 'drain', 'ici', 'b', '--why', 'test']);
    const ui = await open('#/pools/ici/drain/b');
    const { remaining, agents } = JSON.parse(await stage.did(['admin', 'draining', 'ici', 'b'], 1));
    expect(remaining).toBeGreaterThan(0);
    await eventually(async () => expect(await ui.id('agent-row').count()).toBe(agents.length));
    expect(await ui.page.locator('h1').innerText()).toContain(`${remaining} agent`);
    const end = ui.id('act-disable');
    expect(await end.innerText()).toMatch(new RegExp(`End now: ${remaining} agents? must log on again`));
    await ui.begin(end);
    await ui.confirm('they were called');
    await eventually(async () => expect((await stage.instance('ici', 'b', 1)).admin).toBe('disabled'));
    await stage.did(['admin', 'enable', 'ici', 'b', '--why', 'test']);
  });
});
