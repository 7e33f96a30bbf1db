import { useState } from 'preact/hooks';
import { speak } from '../data/announcer.ts';
import type { Problem } from '../data/client.ts';
import { change as ask } from '../data/client.ts';
import type { Explanation, GatewaysAnswer, WhatIf } from '../data/contract.ts';
import { live, STALE_AFTER_MS } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { filter, route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import type { AskedChange, Change } from '../logic/questions.ts';
import {
  boundText,
  CHANGES,
  explainBody,
  instancesOf,
  outcomeLevel,
  ruleText,
  whatIfBody,
} from '../logic/questions.ts';
import { percent, showHidden } from '../logic/text.ts';
import { Badge } from '../parts/badge.tsx';
import { Facts } from '../parts/facts.tsx';
import { Field, PoolField } from '../parts/filters.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { ProblemText } from '../parts/problem.tsx';
import { Table } from '../parts/table.tsx';

const GATEWAYS_MS = 10_000;

/** Questions that change nothing: how a request would be routed, and what a change would do to the agents. */
export function ExplainPage() {
  const { status } = useStore(live);
  const { query } = useStore(route).place;
  const pools = status?.pools ?? [];
  const pool = query['pool'] ?? pools[0]?.name ?? '';
  return (
    <Page name="explain" title="Explain">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <PoolField pools={pools} value={pool} />
      </form>
      <ExplainPanel key={`explain ${pool}`} pool={pool} user={query['user'] ?? ''} />
      <WhatIfPanel key={`what-if ${pool}`} pool={pool} />
    </Page>
  );
}

interface Asked<Body> {
  readonly isAsking: boolean;
  readonly body?: Body;
  readonly problem?: Problem;
}

/** Asks the gateway; the answer before stays until the next one is there. */
function useQuestion<Body>(path: string, spoken: (body: Body) => string) {
  const [asked, setAsked] = useState<Asked<Body>>({ isAsking: false });
  const send = async (question: object): Promise<void> => {
    setAsked((before) => ({ ...before, isAsking: true }));
    const answer = await ask<Body>('POST', path, question);
    setAsked(
      answer.ok ? { isAsking: false, body: answer.body } : { isAsking: false, problem: answer.problem },
    );
    speak(answer.ok ? spoken(answer.body) : answer.problem.text);
  };
  return { ...asked, send };
}

function ExplainPanel({ pool, user }: { readonly pool: string; readonly user: string }) {
  // Not in the address: a request may hold secrets.
  const [request, setRequest] = useState('');
  const [from, setFrom] = useState('');
  const { isAsking, body, problem, send } = useQuestion<Explanation>(
    `/pools/${encodeURIComponent(pool)}/explain`,
    ({ sentence }) => sentence,
  );
  const question = explainBody({ user, request, from });
  return (
    <section class="panel" data-testid="panel-explain" aria-labelledby="heading-explain">
      <header>
        <h2 id="heading-explain">How a request would be routed now</h2>
      </header>
      <div class="body">
        <form
          class="question"
          onSubmit={(event) => {
            event.preventDefault();
            if (question !== undefined) void send(question);
          }}
        >
          <Field label="User">
            <input
              data-testid="explain-user"
              value={user}
              autocomplete="off"
              spellcheck={false}
              onInput={({ currentTarget }) => filter({ user: currentTarget.value })}
            />
          </Field>
          <Field label="Or a whole HTTP request, with its header and body">
            <textarea
              data-testid="explain-request"
              rows={4}
              spellcheck={false}
              value={request}
              onInput={({ currentTarget }) => setRequest(currentTarget.value)}
            />
          </Field>
          <Field label="Address of the client (optional)">
            <input
              data-testid="explain-from"
              value={from}
              onInput={({ currentTarget }) => setFrom(currentTarget.value)}
            />
          </Field>
          <button type="submit" data-testid="explain-ok" disabled={question === undefined || isAsking}>
            Explain
          </button>
        </form>
        <p class="note">Nothing is sent, bound, renewed or logged.</p>
        {problem !== undefined && <ProblemText problem={problem} />}
        {body !== undefined && <ExplanationView explanation={body} />}
      </div>
    </section>
  );
}

function ExplanationView({ explanation }: { readonly explanation: Explanation }) {
  const {
    sentence,
    outcome,
    decision,
    names,
    epoch,
    error,
    steps,
    oneOf,
    otherErrors,
    instance,
    incarnation,
  } = explanation;
  return (
    <div data-testid="explanation">
      <p data-testid="explain-sentence">
        <Badge level={outcomeLevel(explanation)}>{outcome}</Badge> {showHidden(sentence)}
      </p>
      <Facts
        facts={[
          ['Instance', oneOf.length > 0 ? `one of ${oneOf.join(', ')}` : instance],
          ['Incarnation', incarnation],
          ['Decision', decision],
          ['Error', error === null ? null : [error, ...otherErrors].join(' or ')],
          [
            'Names',
            names
              .map(
                ({ kind, value, evidence, source }) =>
                  `${kind} ${showHidden(value)} (${evidence}, ${source})`,
              )
              .join('; '),
          ],
          ['View', `epoch ${epoch}`],
        ]}
      />
      <Table label="Rules of routing" isStacked>
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col">Applies</th>
            <th scope="col">Rule and what it found</th>
          </tr>
        </thead>
        <tbody>
          {steps.map((step, index) => (
            <tr key={`${index} ${step.rule}`} data-testid="explain-step" data-part={step.part}>
              <th scope="row">{step.part}</th>
              <td>{step.applies ? 'yes' : <span class="muted">no</span>}</td>
              <td class="across">{showHidden(ruleText(step))}</td>
            </tr>
          ))}
        </tbody>
      </Table>
    </div>
  );
}

const NOTHING: AskedChange = { change: 'instance-dies', instance: '', weight: '', gateway: '' };

function WhatIfPanel({ pool }: { readonly pool: string }) {
  const { status, at, problem: statusProblem } = useStore(live);
  const [asked, setAsked] = useState(NOTHING);
  const { isAsking, body, problem, send } = useQuestion<WhatIf>(
    `/pools/${encodeURIComponent(pool)}/what-if`,
    ({ text }) => text,
  );
  const set = (changes: Partial<AskedChange>): void => setAsked((before) => ({ ...before, ...changes }));
  const question = whatIfBody(asked);
  const { change } = asked;
  const needsInstance = change !== 'gateway-goes' && change !== 'store-goes';
  return (
    <Panel
      name="what-if"
      title="What would happen, if …"
      source={{ data: status, at, problem: statusProblem }}
      staleAfter={STALE_AFTER_MS}
    >
      {({ pools }) => (
        <>
          <form
            class="filters"
            onSubmit={(event) => {
              event.preventDefault();
              if (question !== undefined) void send(question);
            }}
          >
            <Field label="Change">
              <select
                data-testid="what-if-change"
                value={change}
                onChange={({ currentTarget }) => set({ change: currentTarget.value as Change })}
              >
                {Object.entries(CHANGES).map(([value, text]) => (
                  <option key={value} value={value}>
                    {text}
                  </option>
                ))}
              </select>
            </Field>
            {needsInstance && (
              <Choice
                label="Instance"
                name="instance"
                value={asked.instance}
                choices={instancesOf(pools, pool)}
                onChange={(instance) => set({ instance })}
              />
            )}
            {change === 'weight' && (
              <Field label="Weight">
                <input
                  data-testid="what-if-weight"
                  inputMode="decimal"
                  value={asked.weight}
                  onInput={({ currentTarget }) => set({ weight: currentTarget.value })}
                />
              </Field>
            )}
            {change === 'gateway-goes' && (
              <GatewayChoice value={asked.gateway} onChange={(gateway) => set({ gateway })} />
            )}
            <button type="submit" data-testid="what-if-ok" disabled={question === undefined || isAsking}>
              Compute
            </button>
          </form>
          {problem !== undefined && <ProblemText problem={problem} />}
          {body !== undefined && <WhatIfView answer={body} />}
        </>
      )}
    </Panel>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name: string;
  readonly value: string;
  readonly choices: readonly string[];
  readonly onChange: (value: string) => void;
}

function Choice({ label, name, value, choices, onChange }: ChoiceProps) {
  return (
    <Field label={label}>
      <select
        data-testid={`what-if-${name}`}
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      >
        <option value="">choose …</option>
        {choices.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </Field>
  );
}

function GatewayChoice({ value, onChange }: Pick<ChoiceProps, 'value' | 'onChange'>) {
  const { data } = usePoll<GatewaysAnswer>('/gateways', GATEWAYS_MS);
  const choices = data?.gateways.map(({ replica }) => replica) ?? [];
  return <Choice label="Gateway" name="gateway" value={value} choices={choices} onChange={onChange} />;
}

function WhatIfView({ answer }: { readonly answer: WhatIf }) {
  const { text, notes, instances, moves, names, active, stranded, isExact } = answer;
  return (
    <div data-testid="what-if-answer">
      <p class={stranded > 0 ? 'bad' : undefined} data-testid="what-if-text">
        {text}.
      </p>
      <p class="note">{boundText(answer)}</p>
      {active.before !== active.after && (
        <p>
          Active: {active.before ?? 'none'} → {active.after ?? 'none'}.
        </p>
      )}
      {notes.map((note) => (
        <p key={note}>{note}.</p>
      ))}
      <Table label="Instances before and after" isStacked>
        <thead>
          <tr>
            <th scope="col">Instance</th>
            <th scope="col">Agents</th>
            <th scope="col">Share of new agents</th>
            <th scope="col">Serves</th>
          </tr>
        </thead>
        <tbody>
          {instances.map(({ id, before, after }) => (
            <tr key={id} data-testid="what-if-row" data-instance={id}>
              <th scope="row">{id}</th>
              <td>
                {before.boundAgents} → {after.boundAgents}
              </td>
              <td>
                {percent(before.newAgents)} → {percent(after.newAgents)}
              </td>
              <td>{after.serves ? 'yes' : 'no'}</td>
            </tr>
          ))}
        </tbody>
      </Table>
      {moves.map(({ from, to, agents }) => (
        <p key={`${from} ${to}`}>
          {from} → {to ?? 'nowhere'}: {agents}
        </p>
      ))}
      {names.length > 0 && (
        <Table label="Agents that move" isStacked>
          <thead>
            <tr>
              <th scope="col">Agent</th>
              <th scope="col">From</th>
              <th scope="col">To</th>
            </tr>
          </thead>
          <tbody>
            {names.map(({ name, kind, from, to }) => (
              <tr key={`${kind} ${name}`}>
                <th scope="row">
                  <code>{showHidden(name)}</code>
                </th>
                <td>{from}</td>
                <td>{to ?? (isExact ? 'nowhere' : 'one of those above')}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </div>
  );
}
