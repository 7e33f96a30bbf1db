import { describe, expect, test } from 'vitest';
import type { StartFlags } from '../../../src/cli/start-options.ts';
import { overlayOf } from '../../../src/cli/start-options.ts';
import type { Config } from '../../../src/config/schema.ts';
import { load, MINIMAL, problemsOf, warningsOf } from './support.ts';

const TWO_POOLS = `pools:
  - { name: prod, match: { hosts: [prod] }, instances: [{ id: a, url: 'http://a' }] }
  - { name: test, instances: [{ id: b, url: 'http://b' }] }
`;

const config = (flags: StartFlags, text = ''): Config => load(text, { overlay: overlayOf(flags) }).config;
const refused = (flags: StartFlags, text = ''): string[] => problemsOf(text, { overlay: overlayOf(flags) });

describe('flags of start', () => {
  test('instances alone make a pool named ici', () => {
    const { pools } = config({
      instance: ['a=http://a:1', 'b=http://b:2'],
      mode: 'sticky',
      healthPath: '/health',
    });
    expect(pools).toHaveLength(1);
    expect(pools[0]).toMatchObject({
      name: 'ici',
      mode: 'sticky',
      instances: [
        { id: 'a', url: 'http://a:1', priority: 1 },
        { id: 'b', url: 'http://b:2', priority: 2 },
      ],
      health: { path: '/health' },
    });
  });

  test('the pool made from instances can be named', () => {
    expect(config({ instance: ['a=http://a'], pool: 'cc' }).pools[0]?.name).toBe('cc');
  });

  test('instances replace those of the only pool of the file and leave the rest of it', () => {
    const { pools } = config({ instance: ['x=http://x'] }, `${MINIMAL}    mode: sticky\n`);
    expect(pools[0]).toMatchObject({ name: 'ici', mode: 'sticky', instances: [{ id: 'x' }] });
    expect(pools[0]?.instances).toHaveLength(1);
  });

  test('with several pools the flag must name one', () => {
    expect(refused({ instance: ['x=http://x'] }, TWO_POOLS)).toEqual([
      '--instance: applies to one pool, but the configuration has several: prod, test; choose one with --pool',
    ]);
    const { pools } = config({ instance: ['x=http://x'], pool: 'test' }, TWO_POOLS);
    expect(pools.map((pool) => pool.instances[0]?.id)).toEqual(['a', 'x']);
  });

  test('a pool that is not in the file is refused', () => {
    expect(refused({ mode: 'sticky', pool: 'live' }, TWO_POOLS)).toEqual([
      '--pool: is "live", but the configuration has prod, test',
    ]);
  });

  test('a mode without a pool is refused, with what is missing', () => {
    expect(refused({ mode: 'sticky' })).toContain(
      '--mode: has no pool to apply to; give --instance ID=URL for each instance, or --config FILE',
    );
  });

  test.each(['http://a?x=1', 'a', '=http://a', 'a='])('--instance %s is refused', (text) => {
    expect(refused({ instance: ['b=http://b', text] })).toEqual([
      `--instance: must be id=url, such as a=http://10.0.0.1:8080, but is "${text}"`,
    ]);
  });

  test('the error of a wrong value names its flag', () => {
    expect(refused({ instance: ['a=http://a'], mode: 'stiky', listen: '8080' })).toEqual([
      expect.stringMatching(/^--listen listen\.address: must be host:port/),
      '--mode pools[0].mode: must be one of failover, sticky, but is "stiky"; did you mean "sticky"?',
    ]);
    expect(refused({ instance: ['a=nowhere'] })).toEqual([
      expect.stringMatching(/^--instance pools\[0\]\.instances\[0\]\.url: must be http/),
    ]);
  });

  test('every flag sets its option', () => {
    const result = config(
      {
        listen: '0.0.0.0:0',
        admin: '127.0.0.1:0',
        mode: 'sticky',
        balancer: 'least-bound',
        redis: 'redis://r:1',
        soapUserElement: ['u1', 'u2'],
        soapSessionElement: ['s1'],
        stateDir: '/state',
        logLevel: 'debug',
      },
      `${MINIMAL}affinity: { store: embedded }\nidentity: { userElements: [old] }\n`,
    );
    expect(result).toMatchObject({
      listen: { address: '0.0.0.0:0' },
      admin: { address: '127.0.0.1:0' },
      pools: [{ mode: 'sticky', balancer: 'least-bound' }],
      affinity: { store: 'redis', redis: { url: 'redis://r:1' }, stateDir: '/state' },
      identity: { userElements: [{ name: 'u1' }, { name: 'u2' }], sessionElements: [{ name: 's1' }] },
      logging: { level: 'debug' },
    });
  });

  test('warnings name the flag that caused them', () => {
    expect(warningsOf('', { overlay: overlayOf({ instance: ['a=http://a'], balancer: 'random' }) })).toEqual([
      expect.stringMatching(/^--balancer pools\[0\]\.balancer: has no effect/),
    ]);
  });
});
