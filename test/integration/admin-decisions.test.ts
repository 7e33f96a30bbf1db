import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { users } from '../support/load.ts';
import { ask } from '../support/operator.ts';
import { AdministeredGateway, WHY } from './admin-acts-support.ts';

let on: AdministeredGateway;

beforeEach(async () => {
  on = await AdministeredGateway.prepare();
});

afterEach(() => on.close());

async function nextMillisecond(): Promise<void> {
  const now = Date.now();
  await eventually(() => expect(Date.now()).toBeGreaterThan(now));
}

/** A time in milliseconds at which nothing else happens. */
async function momentOfItsOwn(): Promise<string> {
  await nextMillisecond();
  const moment = new Date().toISOString();
  await nextMillisecond();
  return moment;
}

const viewOf = (): string => on.gateway.status().pools[0]?.view.id ?? '';

describe('an act that names the view that the operator saw', () => {
  test('is refused if the view has changed since, and then nothing is done', async () => {
    await on.start('');
    const ifView = viewOf();
    expect((await on.change('/instances/a/drain', { ...WHY, ifView })).status).toBe(200);
    const { status, body } = await on.change('/instances/b/disable', { ...WHY, ifView });
    expect(status).toBe(409);
    expect(body).toEqual({
      error: `the view has changed since ${ifView}: look at the pool again, then repeat the change if it still fits`,
      view: viewOf(),
    });
    expect(on.instance('b').admin).toBe('enabled');
    expect((await on.change('/instances/b/disable', { ...WHY, ifView: body.view })).status).toBe(200);
  });

  test('is done once, however often and fast it is sent', async () => {
    await on.start('');
    const ifView = viewOf();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => on.change('/instances/a/disable', { ...WHY, ifView })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 409, 409, 409, 409]);
    const { events } = (await on.read('/events?kind=admin')).body;
    expect(events).toHaveLength(1);
  });

  test('does not hold up others after it was refused', async () => {
    await on.start('');
    expect((await on.change('/instances/a/drain', { ...WHY, ifView: 'other' })).status).toBe(409);
    expect((await on.change('/instances/z/drain', { ...WHY, ifView: viewOf() })).status).toBe(404);
    expect((await on.change('/instances/a/drain', { ...WHY, ifView: viewOf() })).status).toBe(200);
  });
});

test('the consequence of an act is computed from who is bound where now', async () => {
  await on.start('');
  const placed = await on.place(users(12, 'AGENT'));
  const atA = [...placed.values()].filter((instance) => instance === 'a').length;
  await eventually(() => expect(on.instance('a').boundAgents).toBe(atA));
  const { body } = await on.read('/instances/a/consequence?act=disable');
  expect(body).toEqual({ agents: atA, text: `${atA} agents must log on again`, view: viewOf() });
  expect((await on.read('/instances/a/consequence?act=enable')).body.text).toBe('nothing: a is enabled');
  const wrong = await on.read('/instances/a/consequence?act=burn');
  expect([wrong.status, wrong.body.error]).toEqual([
    400,
    expect.stringMatching(/^act must be one of enable/),
  ]);
  expect((await on.read('/instances/z/consequence?act=enable')).status).toBe(404);
});

describe('the event log', () => {
  const kinds = async (query: string): Promise<string[]> => {
    const { events } = (await on.read(`/events?${query}`)).body;
    return events.map(({ kind, instance }: { kind: string; instance: string }) => `${kind} ${instance}`);
  };

  test('is filtered by kind, instance, operator and time', async () => {
    await on.start('');
    await on.change('/instances/a/disable', { ...WHY, by: 'ops' });
    await on.change('/instances/b/drain', { ...WHY, by: 'JONES' });
    const between = await momentOfItsOwn();
    await on.change('/instances/a/enable', { ...WHY, by: 'JONES' });
    expect(await kinds('kind=admin')).toEqual(['admin a', 'admin b', 'admin a']);
    expect(await kinds('kind=admin&instance=a')).toEqual(['admin a', 'admin a']);
    expect(await kinds('by=JONES')).toEqual(['admin a', 'admin b']);
    expect(await kinds('by=JONES&instance=b')).toEqual(['admin b']);
    // Without agents the drain of b may end at any moment.
    expect(await kinds(`kind=admin&since=${between}`)).toEqual(['admin a']);
    expect(await kinds(`kind=admin&until=${between}`)).toEqual(['admin b', 'admin a']);
    expect((await kinds('since=1h')).length).toBeGreaterThan(3);
    // The limit applies to what is left.
    expect(await kinds('kind=admin&instance=b&limit=1')).toEqual(['admin b']);
    expect(await kinds('kind=moved')).toEqual([]);
  });

  test('keeps every act, from where it was made, and counts repeats', async () => {
    await on.start('');
    await on.change('/instances/b/drain', { why: 'the act to be hidden' });
    for (let i = 0; i < 20; i += 1) {
      await Promise.all(
        ['disable', 'enable'].map((act) => on.change(`/instances/a/${act}`, { why: 'a script in a loop' })),
      );
    }
    const { events } = (await on.read('/events?kind=admin')).body;
    expect(events.at(-1)).toMatchObject({ why: 'the act to be hidden', source: '127.0.0.1', by: 'admin' });
    expect(events.length).toBeLessThan(10);
    const times = events.map((one: { times?: number }) => one.times ?? 1);
    expect(times.reduce((sum: number, n: number) => sum + n, 0)).toBe(41);
  });

  test('tells what was done to one gateway, by an operator or otherwise', async () => {
    await on.start('');
    const maintain = (state: boolean) =>
      ask(on.gateway.adminUrl, 'POST', '/maintenance', { on: state, why: 'patch', by: 'jones' });
    await maintain(true);
    await maintain(false);
    const gateway = on.gateway.status().replica;
    const { events } = (await on.read('/events')).body;
    const told = events.filter((event: { gateway?: string }) => event.gateway === gateway);
    expect(
      told.map(({ kind, from, to, by, why }: Record<string, string>) => [kind, from, to, by, why].join(' ')),
    ).toEqual(
      expect.arrayContaining([
        'maintenance  on admin (says jones) patch',
        `state Running Maintenance ${gateway} patch (admin (says jones))`,
        'maintenance  off admin (says jones) patch',
        `state Starting Running ${gateway} every instance was probed`,
      ]),
    );
  });

  test('is read page by page to its end', async () => {
    await on.start('');
    for (let i = 0; i < 7; i += 1) await on.change('/instances/a/drain', { why: `${i}` });
    const all = (await on.read('/events?limit=1000')).body;
    expect(all.next).toBeNull();
    const paged: unknown[] = [];
    let query = 'limit=3';
    for (;;) {
      const { body } = await on.read(`/events?${query}`);
      paged.push(...body.events);
      if (body.next === null) break;
      query = `limit=3&cursor=${body.next}`;
    }
    expect(paged).toEqual(all.events);
    expect((await on.read('/events?cursor=x')).status).toBe(400);
  });

  test('names the parameter that is wrong', async () => {
    await on.start('');
    for (const [query, message] of [
      ['until=yesterday', 'until must be a duration such as 30m, or a time such as'],
      ['since=yesterday', 'since must be a duration such as 30m, or a time such as'],
      ['kind=unknown', 'kind must be one of up, down'],
      ['limit=1001', 'limit must be a whole number from 1 to 1000'],
      ['form=1', 'form is not known here'],
    ] as const) {
      const { status, body } = await on.read(`/events?${query}`);
      expect([status, body.error]).toEqual([400, expect.stringContaining(message)]);
    }
  });
});
