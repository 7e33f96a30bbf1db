import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatProblem } from '../../../src/config/problem.ts';
import { load, problemsOf } from './support.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-groups-'));
  writeFileSync(join(directory, 'good'), 'MILLER;sales\nSMITH;sales\nJONES;service\n');
  writeFileSync(join(directory, 'bad'), 'MILLER;sales\nmiller;service\nSMITH\n');
});
afterAll(() => rmSync(directory, { recursive: true }));

const pool = (options: string, mode = 'sticky', instance = ''): string => `
pools:
  - name: ici
    mode: ${mode}
    ${options}
    instances: [{ id: a, url: 'http://127.0.0.1:1'${instance} }]
`;
const at = { file: '/etc/gateway.yaml' };
const short = (line: string): string => line.replaceAll(`${directory}/`, '').replace(/^\S+:\d+:\d+ /, '');
const problems = (text: string): string[] => problemsOf(text, at).map(short);
const warnings = (text: string): string[] => load(text, at).warnings.map(formatProblem).map(short);

test('the file of groups is read, and each bad line is a problem', () => {
  expect(problems(pool(`groups: { file: ${directory}/bad }`))).toEqual([
    'pools[0].groups.file: bad: line 2 is for MILLER, as is line 1; remove one of the two; line 3 has no ";"; write user;group, such as MILLER;sales',
  ]);
  expect(problems(pool(`groups: { file: ${directory}/none }`))).toEqual([
    expect.stringContaining('pools[0].groups.file: none'),
  ]);
  expect(load(pool(`groups: { file: ${directory}/good }`), at).config.pools[0]?.groups).toEqual({
    file: join(directory, 'good'),
    patterns: [],
  });
});

test('a group that is larger than every instance should be is told', () => {
  expect(warnings(pool(`groups: { file: ${directory}/good }`, 'sticky', ', maxAgents: 1'))).toEqual([
    'pools[0].groups.file: good: the group sales has 2 users, more than maxAgents of any instance (1); it is placed where most room is: split it, or raise maxAgents',
  ]);
  expect(warnings(pool(`groups: { file: ${directory}/good }`, 'sticky', ', maxAgents: 2'))).toEqual([]);
});

test('groups whose names differ only in case are told, because they are two', () => {
  writeFileSync(join(directory, 'case'), 'MILLER;sales\nSMITH;Sales\nJONES;service\n');
  expect(warnings(pool(`groups: { file: ${directory}/case }`))).toEqual([
    expect.stringContaining('the groups sales and Sales differ only in upper and lower case'),
  ]);
});

test('options of groups have no effect in a failover pool', () => {
  expect(warnings(pool('groups: { header: team }', 'failover', ', maxAgents: 5'))).toEqual([
    'pools[0].groups.header: has no effect in a failover pool; remove it, or set mode to sticky',
    'pools[0].instances[0].maxAgents: has no effect in a failover pool; remove it, or set mode to sticky',
  ]);
});

test('patterns and names of groups are checked', () => {
  expect(
    problems(pool("groups: { patterns: [{ users: '(', group: sales }, { users: A, group: ' x' }] }")),
  ).toEqual([
    expect.stringContaining('pools[0].groups.patterns[0].users: is not a valid regular expression'),
    expect.stringContaining('pools[0].groups.patterns[1].group: must be a name of 1 to 64 characters'),
  ]);
});
