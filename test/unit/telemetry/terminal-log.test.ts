import { expect, test } from 'vitest';
import { terminalLine } from '../../../src/telemetry/terminal-log.ts';

const TIME = new Date(2026, 10, 29, 9, 5, 7, 42).getTime();
const line = (fields: Readonly<Record<string, unknown>>): string =>
  terminalLine(JSON.stringify({ level: 30, time: TIME, pid: 1, ...fields }));

test('a line has time, level, process, message and fields', () => {
  expect(line({ child: 'worker-1', address: 'http://127.0.0.1:8080', msg: 'listening' })).toBe(
    '09:05:07.042 info  [worker-1] listening address=http://127.0.0.1:8080\n',
  );
});

test('values with spaces, and structures, stand as JSON', () => {
  expect(line({ level: 40, msg: 'slow', reason: 'a pause', after: { ms: 3 }, left: null })).toBe(
    '09:05:07.042 WARN  slow reason="a pause" after={"ms":3} left=null\n',
  );
});

test('the stack of an error follows, indented', () => {
  expect(line({ level: 50, msg: 'failed', err: { message: 'no', stack: 'Error: no\n    at f' } })).toBe(
    '09:05:07.042 ERROR failed\n    Error: no\n        at f\n',
  );
});

test('no value of a client moves the cursor, ends the line or turns the text around', () => {
  const text = line({ user: 'A\u001b[2J\u202eB', path: '/a\nERROR', msg: 'x\r\u001b[31m' });
  expect(text.slice(0, -1)).toMatch(/^[\P{C}]+$/u);
  expect(text).not.toContain('\u202e');
});
