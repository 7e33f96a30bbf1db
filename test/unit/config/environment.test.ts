import { describe, expect, test } from 'vitest';
import { load, MINIMAL, problemsOf } from './support.ts';

describe('environment variables', () => {
  test('are stronger than the file, and weaker than flags', () => {
    const text = `${MINIMAL}timeouts: { park: 1s, total: 10s, connect: 1s }`;
    const { timeouts } = load(text, {
      env: { ICI_GATEWAY_TIMEOUTS__PARK: '2s', ICI_GATEWAY_TIMEOUTS__TOTAL: '20s' },
      overlay: () => ({ settings: [{ path: ['timeouts', 'park'], value: '3s', source: '--park' }] }),
    }).config;
    expect(timeouts).toMatchObject({ connect: 1000, total: 20_000, park: 3000 });
  });

  test('set options of several words, in lists, and one place beyond the end of a list', () => {
    const { config } = load(MINIMAL, {
      env: {
        ICI_GATEWAY_POOLS__0__MODE: 'sticky',
        ICI_GATEWAY_POOLS__0__INSTANCES__0__MAX_IN_FLIGHT: '7',
        ICI_GATEWAY_POOLS__0__INSTANCES__1__ID: 'b',
        ICI_GATEWAY_POOLS__0__INSTANCES__1__URL: 'http://b',
        ICI_GATEWAY_POOLS__0__HEALTH__EXPECTED_STATUS: '[200, 204]',
        ICI_GATEWAY_IDENTITY__ADDRESS_MASK__IPV4: '24',
        ICI_GATEWAY_FORWARDING__REQUEST_ID_HEADER: 'x-id',
      },
    });
    expect(config.pools[0]).toMatchObject({
      mode: 'sticky',
      instances: [
        { id: 'a', maxInFlight: 7 },
        { id: 'b', url: 'http://b' },
      ],
      health: { expectedStatus: ['200', '204'] },
    });
    expect(config.identity.addressMask.ipv4).toBe(24);
    expect(config.forwarding.requestIdHeader).toBe('x-id');
  });

  test('suffice without a file', () => {
    const { config } = load('', {
      env: {
        ICI_GATEWAY_POOLS__0__NAME: 'ici',
        ICI_GATEWAY_POOLS__0__INSTANCES: '[{ id: a, url: "http://a" }]',
        ICI_GATEWAY_AFFINITY__REDIS__URL: 'redis://r',
      },
    });
    expect(config.pools[0]?.instances[0]?.url).toBe('http://a');
    expect(config.affinity.store).toBe('redis');
  });

  test('are not options if they are for the commands of operators', () => {
    const { config } = load(MINIMAL, { env: { ICI_GATEWAY_ADMIN__URL: 'http://127.0.0.1:1' } });
    expect(config.admin).toEqual(load(MINIMAL).config.admin);
  });

  test('merge a section into that of the file', () => {
    const text = `${MINIMAL}timeouts: { park: 1s, connect: 2s }`;
    const { timeouts } = load(text, { env: { ICI_GATEWAY_TIMEOUTS: '{ park: 3s }' } }).config;
    expect(timeouts).toMatchObject({ park: 3000, connect: 2000 });
  });

  test('keep the order of their numbers with more than ten entries of a list', () => {
    const env: Record<string, string> = {};
    for (let i = 1; i <= 12; i++) {
      env[`ICI_GATEWAY_POOLS__0__INSTANCES__${i}__ID`] = `i${i}`;
      env[`ICI_GATEWAY_POOLS__0__INSTANCES__${i}__URL`] = `http://h${i}`;
    }
    expect(load(MINIMAL, { env }).config.pools[0]?.instances.at(-1)).toMatchObject({
      id: 'i12',
      url: 'http://h12',
    });
  });

  test.each([
    [
      'ICI_GATEWAY_TIMEOUT__PARK',
      '3s',
      'ICI_GATEWAY_TIMEOUT__PARK: is not an option; did you mean ICI_GATEWAY_TIMEOUTS__PARK?',
    ],
    [
      'ICI_GATEWAY_TIMEOUTS__PARC',
      '3s',
      'ICI_GATEWAY_TIMEOUTS__PARC: is not an option; did you mean ICI_GATEWAY_TIMEOUTS__PARK?',
    ],
    [
      'ICI_GATEWAY_LISTEN_ADDRESS',
      'h:1',
      expect.stringContaining('ICI_GATEWAY_LISTEN_ADDRESS: is not an option; '),
    ],
    [
      'ICI_GATEWAY_TIMEOUTS__PARK__MS',
      '3',
      'ICI_GATEWAY_TIMEOUTS__PARK__MS: is not an option; ICI_GATEWAY_TIMEOUTS__PARK has no options below it',
    ],
    [
      'ICI_GATEWAY_POOLS__5__NAME',
      'x',
      'ICI_GATEWAY_POOLS__5__NAME: has 5 instead of a position in a list; the next free one is 1',
    ],
    [
      'ICI_GATEWAY_POOLS__ICI__MODE',
      'x',
      'ICI_GATEWAY_POOLS__ICI__MODE: has ICI instead of a position in a list; the next free one is 1',
    ],
    ['ICI_GATEWAY_LIMITS', '{', 'ICI_GATEWAY_LIMITS limits: is not valid YAML: MISSING_CHAR'],
    [
      'ICI_GATEWAY_LIMITS__HEADERS',
      'many',
      'ICI_GATEWAY_LIMITS__HEADERS limits.headers: must be a whole number from 10 to 2000, but is "many"',
    ],
    ['ICI_GATEWAY_PORT', '8080', expect.stringContaining('ICI_GATEWAY_PORT: is not an option; ')],
  ])('%s=%s is refused by its name', (name, value, problem) => {
    expect(problemsOf(MINIMAL, { env: { [name]: value } })).toEqual([problem]);
  });

  test('do not hide that the file lacks a section that they need', () => {
    expect(problemsOf(`${MINIMAL}limits: [1]`, { env: { ICI_GATEWAY_LIMITS__HEADERS: '20' } })).toEqual([
      expect.stringMatching(/^gateway\.yaml:6:9 limits: must be a section/),
    ]);
  });

  test('that Kubernetes makes for a Service of our name are not ours', () => {
    const env = {
      ICI_GATEWAY_SERVICE_HOST: '10.96.0.1',
      ICI_GATEWAY_SERVICE_PORT: '8080',
      ICI_GATEWAY_SERVICE_PORT_HTTP: '8080',
      ICI_GATEWAY_PORT: 'tcp://10.96.0.1:8080',
      ICI_GATEWAY_PORT_8080_TCP: 'tcp://10.96.0.1:8080',
      ICI_GATEWAY_PORT_8080_TCP_ADDR: '10.96.0.1',
      ICI_GATEWAY_ADMIN_SERVICE_HOST: '10.96.0.2',
      ICI_GATEWAY_ADMIN_PORT: 'tcp://10.96.0.2:9090',
    };
    expect(load(MINIMAL, { env }).config).toEqual(load(MINIMAL).config);
  });

  test('with other prefixes are ignored', () => {
    expect(
      load(MINIMAL, { env: { ICI_OTHER: 'x', ICI_GATEWAY_CONFIG: '/x', PATH: '/bin' } }).warnings,
    ).toEqual([]);
  });
});
