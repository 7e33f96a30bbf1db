import { readDocument, tableBelow } from './documents.ts';

/** The questions for the state of a gateway: on the data port, on the admin port, by SAPControl. */
export const QUESTIONS = ['page', 'ping', 'admin page', 'admin ping', 'readyz', 'sapcontrol'] as const;
export type Question = (typeof QUESTIONS)[number];

/** The promises of the reference pages for one state. */
export interface StateRow {
  /** The answer by question: `200 Running` for the page, `GREEN Running` for SAPControl, else the status only; or `refused`. */
  readonly answers: Readonly<Record<Question, string>>;
  readonly acceptsConnections: boolean;
}

/** The tables of states in operations.md and sapcontrol.md, by state. Throws if one of them lacks a state of the other. */
export function statesOfDocs(): ReadonlyMap<string, StateRow> {
  const colours = new Map<string, string>();
  for (const [states = '', colour, text = ''] of tableBelow(
    readDocument('deploy/docs/sapcontrol.md'),
    '| state | colour | text |',
  )) {
    // Conditions and details follow a comma or stand in brackets.
    for (const state of states.includes(', no ') ? [] : states.split(', ')) {
      colours.set(state, `${colour} ${text.replace(/ \(.*/, '')}`);
    }
  }
  return new Map(
    tableBelow(readDocument('deploy/docs/operations.md'), '| state | state page |').map((cells) => {
      const [shown = '', page = '', ping = '', ready = '', connections = '', , colour = ''] = cells;
      const state = shown.replace(/ \(.*/, '');
      const [onData = '', onAdmin = onData] = page.replaceAll('`', '').split('; ');
      const adminPage = onAdmin.replace(' on the admin port', '');
      const likewise = ping === 'likewise';
      const told = colours.get(state);
      if (told?.startsWith(`${colour} `) !== true) {
        throw new Error(`${state} is ${colour} in operations.md, and ${told} in sapcontrol.md`);
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

/** The `503` in `503, names the instances`. */
function statusOf(cell: string): string {
  return cell.split(/[ ,]/)[0] ?? '';
}
