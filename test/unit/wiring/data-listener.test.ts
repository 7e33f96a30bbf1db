import { expect, test } from 'vitest';
import type { Pool } from '../../../src/proxy/pool.ts';
import { poolTable } from '../../../src/wiring/data-listener.ts';

const configured = [
  { name: 'voice', match: { hosts: [], paths: ['/voice'] } },
  { name: 'chat', match: { hosts: [], paths: ['/chat'] } },
];

function running(...names: readonly string[]): Pool[] {
  return names.map((name) => ({ name }) as Pool);
}

test('each pool serves the paths of its own configuration, whatever the order of the pools', () => {
  const table = poolTable(configured, running('chat', 'voice'));
  expect(table.find(undefined, '/chat')?.name).toBe('chat');
  expect(table.find(undefined, '/voice')?.name).toBe('voice');
});

test('a running pool without a configuration is an error', () => {
  expect(() => poolTable(configured, running('voice', 'chat', 'mail'))).toThrow(
    'pool mail runs, but the configuration does not name it',
  );
});

test('a configured pool that does not run is an error', () => {
  expect(() => poolTable(configured, running('voice'))).toThrow('pool chat is configured, but does not run');
});

test('a pool that runs twice is an error', () => {
  expect(() => poolTable(configured, running('voice', 'chat', 'chat'))).toThrow('pool chat runs twice');
});
