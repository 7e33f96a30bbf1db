import { readFileSync } from 'node:fs';

/** What is asked of a gateway to learn its state: on the data port, on the admin port, by SAPControl. */
export const QUESTIONS = ['page', 'ping', 'admin page', 'admin ping', 'readyz', 'sapcontrol'] as const;
export type Question = (typeof QUESTIONS)[number];

/** What the README promises of one state. */
export interface StateRow {
  /** By question: `200 Running`, for all but the page the status alone, for SAPControl `GREEN Running`; or `refused`. */
  readonly answers: Readonly<Record<Question, string>>;
  readonly acceptsConnections: boolean;
}

/** The two tables of states in the README, by state. Throws where one of them misses a state that the other has. */
export function statesOfReadme(): ReadonlyMap<string, StateRow> {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const colours = new Map<string, string>();
  for (const [states = '', colour, text = ''] of tableBelow(readme, '| state | colour | text |')) {
    // What is true in a condition of its own, or has more to say, is said after a comma or in brackets.
    for (const state of states.includes(', no ') ? [] : states.split(', ')) {
      colours.set(state, `${colour} ${text.replace(/ \(.*/, '')}`);
    }
  }
  return new Map(
    tableBelow(readme, '| state | state page |').map((cells) => {
      const [shown = '', page = '', ping = '', ready = '', connections = '', , colour = ''] = cells;
      const state = shown.replace(/ \(.*/, '');
      const [onData = '', onAdmin = onData] = page.replaceAll('`', '').split('; ');
      const adminPage = onAdmin.replace(' on the admin port', '');
      const likewise = ping === 'likewise';
      const told = colours.get(state);
      if (told?.startsWith(`${colour} `) !== true) {
        throw new Error(`README.md: ${state} is ${colour} in one table, and ${told} in the other`);
      }
      return [
        state,
        {
          answers: {
            page: onData,
            ping: statusOf(likewise ? onData : ping),
            'admin page': adminPage,
            'admin ping': statusOf(likewise ? adminPage : ping),
            readyz: statusOf(ready),
            sapcontrol: told,
          },
          acceptsConnections: connections === 'accepted',
        },
      ];
    }),
  );
}

/** `503` of `503, names the instances`. */
function statusOf(cell: string): string {
  return cell.split(/[ ,]/)[0] ?? '';
}

function tableBelow(text: string, head: string): string[][] {
  const from = text.indexOf(head);
  if (from < 0) throw new Error(`README.md has no table that begins with ${head}`);
  const [table = ''] = text.slice(from).split('\n\n');
  return table
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}
