import type { ShownOption } from '../data/contract.ts';
import { usePoll } from '../data/poll.ts';
import { filter, route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import { chosen } from '../logic/options.ts';
import { count } from '../logic/text.ts';
import { Field } from '../parts/filters.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { Table } from '../parts/table.tsx';

const POLL_MS = 15_000;
const STALE_AFTER_MS = 40_000;

/** Each option with the value in effect, its default, and where the value comes from. */
export function ConfigPage() {
  const { query } = useStore(route).place;
  const source = usePoll<{ readonly options: readonly ShownOption[] }>('/config/options', POLL_MS);
  const search = query['search'] ?? '';
  const isChangedOnly = query['changed'] === 'yes';
  return (
    <Page name="config" title="Configuration">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Field label="Option contains">
          <input
            data-testid="filter-search"
            type="search"
            value={search}
            onInput={({ currentTarget }) => filter({ search: currentTarget.value })}
          />
        </Field>
        <label class="check">
          <input
            data-testid="filter-changed"
            type="checkbox"
            checked={isChangedOnly}
            onChange={({ currentTarget }) => filter({ changed: currentTarget.checked ? 'yes' : '' })}
          />
          Only what is set
        </label>
      </form>
      <Panel
        name="config"
        title="Options of this gateway"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ options }) => {
          if (options.length === 0)
            return 'A supervisor of an earlier release runs, which tells no options: stop and start the gateway.';
          return chosen(options, search, isChangedOnly).length === 0
            ? 'No option fits these filters.'
            : undefined;
        }}
      >
        {({ options }) => <OptionTable options={chosen(options, search, isChangedOnly)} />}
      </Panel>
    </Page>
  );
}

function OptionTable({ options }: { readonly options: readonly ShownOption[] }) {
  return (
    <>
      <Table label="Options" isStacked>
        <thead>
          <tr>
            <th scope="col">Option</th>
            <th scope="col">Value in effect</th>
            <th scope="col" class="wide">
              Default
            </th>
            <th scope="col">Source</th>
          </tr>
        </thead>
        <tbody>
          {options.map(({ path, value, default: fallback, source }) => (
            <tr key={path} data-testid="option-row" data-option={path}>
              <th scope="row" class="option-name across">
                <code>{path}</code>
              </th>
              <td class="across">
                <code>{value}</code>
              </td>
              <td class="wide">
                {fallback === null ? <span class="muted">none</span> : <code>{fallback}</code>}
              </td>
              <td class="across">
                {source === 'default' ? <span class="muted">default</span> : <code>{source}</code>}
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
      <p class="below">{count(options.length, 'option')}. Secrets are masked.</p>
    </>
  );
}
