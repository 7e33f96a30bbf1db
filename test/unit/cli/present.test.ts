import { describe, expect, test } from 'vitest';
import {
  clock,
  fields,
  lastRequest,
  lookOf,
  printable,
  show,
  since,
  table,
} from '../../../src/cli/admin/present.ts';
import { span } from '../../../src/core/span.ts';
import { RecordedOutput } from '../../support/cli.ts';

const PLAIN = lookOf({ hasColors: false });
const COLOURED = lookOf({ hasColors: true });
const ESCAPE = '\u001b';

interface Row {
  readonly name: string;
  readonly agents: number;
}

const COLUMNS = [
  { head: 'NAME', cell: ({ name }: Row) => name },
  {
    head: 'AGENTS',
    cell: ({ agents }: Row) => String(agents),
    right: true,
    colour: ({ agents }: Row) => (agents === 0 ? ('red' as const) : undefined),
  },
  { head: 'LAST', cell: () => 'x' },
];

describe('a table', () => {
  test('aligns names left and numbers right, and ends no line with blanks', () => {
    const rows = [
      { name: 'connector-a', agents: 7 },
      { name: 'b', agents: 1_200 },
    ];
    expect(table(COLUMNS, rows, PLAIN).split('\n')).toEqual([
      'NAME         AGENTS  LAST',
      'connector-a       7  x',
      'b              1200  x',
    ]);
  });

  test('is coloured only at a terminal with colours, without changing its columns', () => {
    const rows = [{ name: 'a', agents: 0 }];
    const coloured = table(COLUMNS, rows, COLOURED);
    expect(coloured).toContain(`${ESCAPE}[31m`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences are what is removed
    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(table(COLUMNS, rows, PLAIN));
    expect(table(COLUMNS, rows, PLAIN)).not.toContain(ESCAPE);
  });

  test('shows no control character of a name that a client chose', () => {
    const hostile = `MILLER${ESCAPE}[2J\r\n\u202Eevil\u0007`;
    const shown = table(COLUMNS, [{ name: hostile, agents: 1 }], PLAIN);
    expect(shown.split('\n')).toHaveLength(2);
    expect(shown).toContain('MILLER\uFFFD[2J\uFFFD\uFFFD\uFFFDevil\uFFFD');
    expect(fields([['name', hostile]], PLAIN)).not.toContain(ESCAPE);
    expect(printable('Müller-Lüdenscheidt 山田')).toBe('Müller-Lüdenscheidt 山田');
  });
});

describe('an answer', () => {
  const body = { agents: 1 };
  const text = (): string => 'one agent';

  test.each([
    ['JSON for programs', undefined, {}, '{\n  "agents": 1\n}\n'],
    ['text at a terminal', { hasColors: false }, {}, 'one agent\n'],
    ['JSON at a terminal with --json', { hasColors: true }, { json: true }, '{\n  "agents": 1\n}\n'],
  ])('is %s', (_, terminal, flags, expected) => {
    const output = new RecordedOutput(terminal);
    show(output, flags, body, text);
    expect(output.written.out).toBe(expected);
  });
});

describe('a time', () => {
  test.each([
    [0, '0s'],
    [59_999, '59s'],
    [60_000, '1m'],
    [192_000, '3m 12s'],
    [3_600_000, '1h'],
    [11_520_000, '3h 12m'],
    [90_000_000, '1d 1h'],
    [-5, '0s'],
  ])('of %d ms is %s', (ms, expected) => {
    expect(span(ms)).toBe(expected);
  });

  test.each([
    [0, 'in the last 36m'],
    [12, 'in the last 48m'],
    [180, '2h 24m to 3h 36m ago'],
  ])('of a last request %i minutes ago says how exact it is', (minutes, expected) => {
    const look = { ...PLAIN, now: Date.parse('2026-11-29T12:00:00Z') };
    expect(lastRequest(new Date(look.now - minutes * 60_000).toISOString(), 36 * 60, look)).toBe(expected);
  });

  test('is that of this host, with its date only if it is not today', () => {
    const now = new Date(2026, 10, 29, 12, 0, 0).getTime();
    expect(clock(now - 3_600_000, now)).toBe('11:00:00');
    expect(clock(now - 86_400_000, now)).toBe('2026-11-28 12:00:00');
    const look = { ...PLAIN, now };
    expect(since(new Date(now - 3_600_000).toISOString(), look)).toBe('11:00:00 (1h ago)');
    expect(since(new Date(now + 60_000).toISOString(), look)).toBe('12:01:00 (in 1m)');
  });
});
