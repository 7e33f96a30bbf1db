import { afterEach, describe, expect, test, vi } from 'vitest';
import { AgentGroups } from '../../../src/core/agent-groups.ts';
import { rendezvous } from '../../../src/core/balancers.ts';
import type { Proposal } from '../../../src/core/binding.ts';
import { parseGroupFile } from '../../../src/core/group-file.ts';
import type { RequestContext } from '../../../src/proxy/request-context.ts';
import { DOWN } from '../../support/agreement.ts';
import type { Side } from './target-finder-gateways.ts';
import { ALL_UP, agreement, begin, leaseEnds, request, store } from './target-finder-gateways.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const groups = (text: string, header?: string): AgentGroups =>
  new AgentGroups({ file: () => parseGroupFile(text).groups, patterns: [], header });
const TEAM = groups('M1;team\nM2;team\nM3;team\nX1;other\n', 'team');

const away = (side: Side): void => {
  agreement.isAway = true;
  store.isAway = true;
  for (let i = 0; i < 3; i += 1) agreement.sync(side.replica);
};

describe('an agent of a group', () => {
  const proposed = async (context: RequestContext, side: Side): Promise<Proposal['group']> => {
    const claim = vi.spyOn(store, 'claim');
    await side.route(context);
    return claim.mock.calls.at(-1)?.[1].group;
  };

  test('is claimed with the instances of the view, the preferred one first, and where members are known', async () => {
    const [side] = begin({ groups: TEAM }) as [Side];
    agreement.agreeOn({ ...ALL_UP, b: DOWN });
    const known = await side.to('M1');

    const group = await proposed(request('M2'), side);

    expect(group).toMatchObject({ name: 'team', size: 3, known, closed: [], isByLoad: false });
    expect(group?.places.map(({ instance }) => instance).toSorted()).toEqual(['a', 'c']);
  });

  test('may be named by a header', async () => {
    const [side] = begin({ groups: TEAM }) as [Side];
    const context = { ...request('NEW'), raw: { headers: { team: 'sales' } } } as unknown as RequestContext;

    expect(await proposed(context, side)).toMatchObject({ name: 'sales', size: 0, known: undefined });
    expect(await proposed(request('NONE'), side)).toBeUndefined();
  });

  test('is placed without the store where other members are, and a new group by the hash of its name', async () => {
    const [one, other] = begin({ replicas: 2, groups: TEAM }) as [Side, Side];
    const known = await one.to('M1');
    await other.to('M1');
    for (const side of [one, other]) away(side);
    leaseEnds();

    for (const side of [one, other]) expect(await side.to('M2')).toBe(known);
    const hashed = rendezvous(one.replica.candidates, 'gother')?.id;
    for (const side of [one, other]) expect(await side.to('X1')).toBe(hashed);
  });

  test('is placed by the content of the file that holds now', async () => {
    let text = 'M1;team\nM2;none\n';
    let { groups: content } = parseGroupFile(text);
    const changing = new AgentGroups({ file: () => content, patterns: [], header: undefined });
    const [side] = begin({ groups: changing }) as [Side];
    const known = await side.to('M1');
    text = 'M1;new\nM2;new\n';
    ({ groups: content } = parseGroupFile(text));

    expect(await proposed(request('M2'), side)).toMatchObject({ name: 'new', known });
  });
});

test('new agents go to instances that have room, and if none has, to the one with most of it', async () => {
  const [side] = begin() as [Side];
  const bound: Record<string, number> = { a: 5, b: 5, c: 4 };
  Object.assign(side.pool, {
    maxAgents: new Map([
      ['a', 5],
      ['b', 5],
      ['c', 5],
    ]),
    load: { boundAgents: (id: string) => bound[id] ?? 0 },
  });

  expect(await side.to('U1')).toBe('c');
  Object.assign(bound, { c: 7, b: 6 });
  expect(await side.to('U2')).toBe('a');
  side.pool.maxAgents instanceof Map && side.pool.maxAgents.delete('b');
  expect(await side.to('U3')).toBe('b');
});
