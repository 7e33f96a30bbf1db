import type { Binding, Claim } from '../../core/binding.ts';
import { rulingOf } from '../../core/evidence.ts';
import type { AffinityListener } from '../../core/ports.ts';
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
