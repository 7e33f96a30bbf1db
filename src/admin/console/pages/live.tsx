import { useState } from 'preact/hooks';
import { useFollowed } from '../data/follow.ts';
import { live } from '../data/live.ts';
import { filter, route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import { command } from '../logic/acts.ts';
import { ERROR_CODES } from '../logic/text.ts';
import { Copy } from '../parts/copy.tsx';
import { Field } from '../parts/filters.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { gapOf, RequestTable } from '../parts/request-table.tsx';
import { When } from '../parts/when.tsx';

const STALE_AFTER_MS = 6_000;
const FILTERS = ['user', 'session', 'instance', 'code', 'operation'] as const;

/** The requests of this gateway as they end. */
export function LivePage() {
  const { status } = useStore(live);
  const { query } = useStore(route).place;
  const [isPaused, setPaused] = useState(false);
  const pools = status?.pools ?? [];
  const asked = new URLSearchParams();
  for (const name of ['pool', ...FILTERS]) {
    const value = query[name]?.trim();
    if (value) asked.set(name, value);
  }
  const source = useFollowed(asked.toString(), isPaused);
  const instances = pools.find(({ name }) => name === query['pool'])?.instances ?? [];
  const options = FILTERS.flatMap((name) =>
    asked.has(name) ? [`--${name}`, asked.get(name) as string] : [],
  );
  const words = ['admin', 'requests', ...(query['pool'] ? [query['pool']] : []), ...options, '--follow'];
  return (
    <Page name="live" title="Live">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Choice label="Pool" name="pool" all="all" values={pools.map(({ name }) => name)} />
        <Text label="Agent" name="user" />
        <Choice label="Instance" name="instance" all="all" values={instances.map(({ id }) => id)} />
        <Choice label="Error" name="code" all="with and without" values={['any', ...ERROR_CODES]} />
        <Text label="Operation" name="operation" />
      </form>
      <Panel
        name="requests"
        title={isPaused ? 'Requests (paused)' : 'Requests'}
        source={source}
        staleAfter={isPaused ? Number.POSITIVE_INFINITY : STALE_AFTER_MS}
        empty={({ requests }) =>
          requests.length === 0 ? 'No request that is kept fits these filters.' : undefined
        }
        partial={gapOf}
        side={
          <span class="buttons">
            <button
              type="button"
              data-testid="pause"
              aria-pressed={isPaused}
              onClick={() => setPaused(!isPaused)}
            >
              {isPaused ? 'Go on' : 'Pause'}
            </button>
            <Copy isWide what="command" text={command(words, location.origin)} />
          </span>
        }
      >
        {({ requests, since }) => (
          <>
            <RequestTable requests={requests} />
            {since !== null && (
              <p class="below muted">
                This gateway keeps all requests since <When iso={since} />.
              </p>
            )}
          </>
        )}
      </Panel>
    </Page>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name: string;
  /** The word for no filter. */
  readonly all: string;
  readonly values: readonly string[];
}

function Choice({ label, name, all, values }: ChoiceProps) {
  const { query } = useStore(route).place;
  return (
    <Field label={label}>
      <select
        data-testid={`filter-${name}`}
        value={query[name] ?? ''}
        onChange={({ currentTarget }) =>
          filter({ [name]: currentTarget.value, ...(name === 'pool' ? { instance: '' } : {}) })
        }
      >
        <option value="">{all}</option>
        {values.map((value) => (
          <option key={value} value={value}>
            {value}
          </option>
        ))}
      </select>
    </Field>
  );
}

function Text({ label, name }: { readonly label: string; readonly name: string }) {
  const { query } = useStore(route).place;
  return (
    <Field label={label}>
      <input
        data-testid={`filter-${name}`}
        type="search"
        value={query[name] ?? ''}
        onInput={({ currentTarget }) => filter({ [name]: currentTarget.value })}
      />
    </Field>
  );
}
