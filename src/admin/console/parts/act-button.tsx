import { session, whyNot } from '../data/session.ts';
import { Store, useStore } from '../data/store.ts';
import type { Act, Verb } from '../logic/acts.ts';
import { ACTS } from '../logic/acts.ts';

/** An act that waits for its confirmation. */
export const asking = new Store<Act | undefined>(undefined);

interface ActButtonProps {
  readonly verb: Verb;
  readonly pool?: string;
  readonly instance?: string;
  readonly agent?: { readonly kind: string; readonly name: string };
  readonly label?: string;
  /** Why the act makes no sense now. */
  readonly unless?: string | undefined;
  readonly isMain?: boolean;
}

/** Asks for confirmation first. A button that cannot be used says why. */
export function ActButton(props: ActButtonProps) {
  const { verb, pool = '', instance = '', agent, label, unless, isMain = false } = props;
  const { session: current } = useStore(session);
  const kind = ACTS[verb];
  const reason = whyNot(kind.role, current) ?? unless;
  const act: Act = { verb, pool, instance, ...(agent === undefined ? {} : { agent }) };
  return (
    <button
      type="button"
      class={isMain ? 'act main' : 'act'}
      data-testid={`act-${verb}`}
      disabled={reason !== undefined}
      title={reason ?? kind.title(act, {})}
      aria-label={instance === '' || agent !== undefined ? undefined : `${label ?? kind.button} ${instance}`}
      onClick={() => asking.set(act)}
    >
      {label ?? kind.button}
    </button>
  );
}
