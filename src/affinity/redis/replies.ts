import type { Binding, Claim } from '../../core/binding.ts';
import { rulingOf } from '../../core/evidence.ts';
import type { GroupsThere } from '../../core/groups.ts';
import type { Holding, Holdings } from '../../core/holdings.ts';
import type { RequestName } from '../../core/identity.ts';
import type { InstanceId } from '../../core/instance.ts';
import type { AffinityListener } from '../../core/ports.ts';
import { StoreUnavailable } from '../../core/ports.ts';
import { storedKey } from '../../core/stored-name.ts';
import type { RootEntry } from '../packing.ts';
import { unpack } from '../packing.ts';
import { readNote } from '../session-note.ts';
import { toName } from './listed-lines.ts';
import { readLogOff } from './logoff-message.ts';

/** Passes on a message that `moved` or `bound` of the scripts published. */
export function tell(
  listener: AffinityListener,
  [kind, ...rest]: readonly string[],
  ownOrigin: string,
): void {
  if (kind === 'moved') {
    const loggedOff = readLogOff(rest[1]);
    if (loggedOff !== undefined) {
      // The gateway that has caused it knows already.
      if (loggedOff.origin !== ownOrigin) listener.onLoggedOff(toName(rest[0] as string), loggedOff);
      return;
    }
    listener.onMoved(rest.map(toName));
    return;
  }
  const [epoch, field = '', instance = '', incarnation = '', generation, ...aliases] = rest;
  const binding = { root: toName(field), instance, incarnation, generation: Number(generation) };
  listener.onBound(binding, aliases.map(toName), Number(epoch), kind === 'new');
}

/** The claim in the reply that `answer` of the scripts made. */
export function toClaim(reply: readonly (string | number)[]): Claim {
  const [, field, instance, incarnation, generation, made, displaced, displacedIncarnation, ...of] = reply;
  const [letter, isNew, ...replaced] = of;
  const binding: Binding = {
    root: toName(String(field)),
    instance: String(instance),
    incarnation: String(incarnation),
    generation: Number(generation),
  };
  const by = {
    ...(letter === undefined ? {} : { by: rulingOf(String(letter)) }),
    ...(isNew === 1 ? ({ isNew: true } as const) : {}),
    ...(replaced.length > 0 ? { replaced: replaced.map((one) => toName(String(one))) } : {}),
  };
  if (displaced === '') return { binding, made: made === 1, ...by };
  const conflict = { instance: String(displaced), incarnation: String(displacedIncarnation) };
  return { binding, made: made === 1, conflict, ...by };
}

const PER_NAME = 6;

/** What peek.lua returns. */
export function toHoldings(names: readonly RequestName[], reply: readonly (string | number)[]): Holdings {
  const [, instance = '', incarnation = '', free = '', replaceable, ...rest] = reply.map(String);
  const notes = new Map<RequestName, string>();
  const holdings = names.map((name, i): Holding => {
    const [field = '', packed = '', isFoundAlias, hasLoggedOff, isNew, note = ''] = rest.slice(i * PER_NAME);
    if (note !== '') notes.set(name, note);
    const root = toName(field);
    const entry = packed === '' ? undefined : (unpack(packed) as RootEntry);
    return {
      root,
      binding: entry && {
        root,
        instance: entry.instance,
        incarnation: entry.incarnation,
        generation: entry.generation,
      },
      isFound: entry?.found === true,
      isFoundAlias: isFoundAlias === '1',
      hasLoggedOff: hasLoggedOff === '1',
      isNew: isNew === '1',
    };
  });
  const userAt = names.findIndex(({ kind }) => kind !== 'session');
  const sessionAt = names.findIndex(({ kind }) => kind === 'session');
  const [user, session] = [names[userAt], names[sessionAt]];
  return {
    user: holdings[userAt],
    session: holdings[sessionAt],
    note: session && readNote(notes.get(session), user && storedKey(user)),
    place: instance === '' ? undefined : { instance, incarnation },
    room: free === '' ? undefined : { free: Number(free), replaceable: Number(replaceable) },
  };
}

/** What held-groups.lua returns. */
export function toGroups(flat: readonly (string | number)[]): ReadonlyMap<InstanceId, GroupsThere> {
  const there = new Map<InstanceId, GroupsThere>();
  for (let i = 0; i < flat.length; i += 5) {
    const [instance, groups, agents, name, most] = flat.slice(i, i + 5);
    const largest = { name: String(name), agents: Number(most) };
    there.set(String(instance), { groups: Number(groups), agents: Number(agents), largest });
  }
  return there;
}

/** The same failure, but its late answer is the claim, or `undefined` if the store did nothing. */
export function answeredByClaim(failure: StoreUnavailable): StoreUnavailable {
  if (failure.timedOut === undefined) return failure;
  const { wasLate, answer } = failure.timedOut;
  const claim = answer.then((reply) => {
    const parts = reply as (string | number)[];
    return parts[0] === 'holds' ? toClaim(parts) : undefined;
  });
  // The caller need not wait for it.
  claim.catch(() => {});
  return new StoreUnavailable(failure.message, failure.cause, { wasLate, answer: claim });
}
