import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { ExplainedOutcome, ExplainQuestion, ExplainStep, Explanation } from '../../core/explanation.ts';
import { askAdmin } from './client.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { poolPath, readCommand } from './context.ts';
import type { Colour, Look } from './present.ts';
import { fields, NONE, printable, show, table } from './present.ts';

interface ExplainFlags extends ReadFlags {
  readonly user?: string;
  readonly session?: string;
  readonly header?: readonly string[];
  readonly file?: string;
  readonly from?: string;
}

const STANDARD_INPUT = 0;

export function addExplain(admin: Command, context: AdminContext): void {
  readCommand(
    admin,
    'explain <pool>',
    'Say how the gateway would route a request now, rule by rule. Nothing is sent, bound, renewed or logged.',
  )
    .option('--user <name>', 'a user, as SAP asserts it')
    .option('--session <value>', 'a session or its hash, as SAP asserts it')
    .option('--header <field...>', "a header field such as 'soapuser: MILLER'; may be given several times")
    .option('--file <file>', 'a whole HTTP request; - for standard input')
    .option('--from <address>', 'the address from which the request would come')
    .action(async (pool: string, { user, session, header, file, from, ...flags }: ExplainFlags) => {
      const request =
        file === undefined ? undefined : readFileSync(file === '-' ? STANDARD_INPUT : file, 'utf8');
      const question: Omit<ExplainQuestion, 'pool'> = { user, session, headers: header, request, from };
      const path = `${poolPath(pool)}/explain`;
      const { body } = await askAdmin<Explanation>(
        flags,
        { method: 'POST', path, body: { ...question } },
        context.env,
      );
      show(context.output, flags, body, explanationText);
    });
}

const COLOURS: Readonly<Record<ExplainedOutcome, Colour>> = {
  forward: 'green',
  answer: 'green',
  queue: 'yellow',
  wait: 'yellow',
  'other-pool': 'yellow',
  refuse: 'red',
};

function explanationText(explanation: Explanation, look: Look): string {
  const {
    pool,
    outcome,
    sentence,
    decision,
    instance,
    incarnation,
    oneOf,
    error,
    otherErrors,
    names,
    epoch,
    steps,
  } = explanation;
  const life = incarnation === null ? '' : `, incarnation ${incarnation}`;
  const to = oneOf.length > 0 ? `one of ${oneOf.join(', ')}` : `${instance ?? NONE}${life}`;
  const bears = names.map(({ kind, value, evidence, source }) => `${kind}:${value} (${evidence}, ${source})`);
  const pairs: [string, string][] = [
    ['pool', pool],
    ['names', bears.length === 0 ? NONE : bears.join(', ')],
    ['instance', to],
    ['decision', decision ?? NONE],
    ['error', error === null ? NONE : [error, ...otherErrors].join(' or ')],
    ['view', `epoch ${epoch}`],
  ];
  const columns = [
    { head: 'PART', cell: ({ part }: ExplainStep) => part },
    { head: '', cell: ({ applies }: ExplainStep) => (applies ? 'yes' : 'no') },
    { head: 'RULE', cell: ({ rule }: ExplainStep) => rule },
    { head: 'FOUND', cell: ({ found }: ExplainStep) => found ?? NONE },
  ];
  return [
    look.paint(COLOURS[outcome], printable(sentence)),
    fields(pairs, look),
    '',
    table(columns, steps, look),
  ].join('\n');
}
