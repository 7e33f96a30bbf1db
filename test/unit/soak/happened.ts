import { KINDS } from '../../soak/faults.ts';
import type { Happened } from '../../soak/windows.ts';

/** A fault that was caused, at instance a and gateway g1 unless it says otherwise. */
export function happened(name: string, from: number, to: number, instance = 'a'): Happened {
  const kind = KINDS.find((one) => one.name === name);
  if (kind === undefined) throw new Error(`there is no kind ${name}`);
  return { kind, title: name, gateway: 'g1', instance, from, to };
}
