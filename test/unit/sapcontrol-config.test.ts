import { describe, expect, test } from 'vitest';
import { load, MINIMAL, problemsOf } from './config-support.ts';

const configured = (section: string, env: Record<string, string> = {}) =>
  load(`${MINIMAL}sapcontrol: ${section}`, { env }).config.sapcontrol;

describe('the section sapcontrol', () => {
  test('is off unless it is there', () => {
    expect(load(MINIMAL).config.sapcontrol).toBeUndefined();
  });

  test('has what SAP tools derive from an instance number', () => {
    expect(configured('{}')).toEqual({
      instanceNumber: '00',
      sid: 'ICI',
      instanceName: 'W00',
      address: '127.0.0.1:50013',
      socket: '/tmp/.sapstream50013',
    });
    expect(configured("{ instanceNumber: '42', sid: WD1 }", { TMPDIR: '/run/x' })).toEqual({
      instanceNumber: '42',
      sid: 'WD1',
      instanceName: 'W42',
      address: '127.0.0.1:54213',
      socket: '/run/x/.sapstream54213',
    });
  });

  test('takes another address, socket and name', () => {
    expect(configured("{ address: '0.0.0.0:1128', socket: ./s, instanceName: WDA }")).toMatchObject({
      instanceName: 'WDA',
      address: '0.0.0.0:1128',
      socket: '/etc/ici-gateway/s',
    });
  });

  test.each([
    [
      '{ instanceNumber: 7 }',
      'sapcontrol.instanceNumber: must be two digits in quotes, such as "00", but is 7; write it in quotes: "7"',
    ],
    [
      "{ address: '127.0.0.1:9090' }",
      'sapcontrol.address: is 127.0.0.1:9090, which admin.address has already; give another port',
    ],
    [
      "{ address: '127.0.0.1:8080' }",
      'sapcontrol.address: is 127.0.0.1:8080, which listen.address has already; give another port',
    ],
    [`{ socket: /${'x'.repeat(98)} }`, 'sapcontrol.socket: is longer than 98 bytes; give a shorter path'],
    [
      '{ passwordFile: /nonexistent/passwords }',
      'sapcontrol.passwordFile: /nonexistent/passwords cannot be read: no such file',
    ],
    ['{ passwordFile: /dev/null }', expect.stringContaining('/dev/null has no line; make one with:')],
  ])('%s is refused with its remedy', (section, problem) => {
    const problems = problemsOf(`${MINIMAL}sapcontrol: ${section}`);
    expect(problems.map((line) => line.replace(/^gateway\.yaml:\d+:\d+ /, ''))).toEqual([problem]);
  });
});
