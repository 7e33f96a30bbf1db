import { ERRORS } from './errors.ts';

/**
 * Does `Via` (RFC 9110 §7.6.3) say that a message has passed a gateway of this name? Then it has come back, and would
 * come back again and again.
 */
export function hasPassed(via: string, name: string): boolean {
  return via.split(',').some((hop) => hop.trim().split(/[ \t]+/, 2)[1] === name);
}

/**
 * What a port that is never an instance answers to a message that has come back; `undefined` for any other message.
 * Gateways probe such a port if an instance has its address, and none of its pages may look like a health page.
 */
export function loopAnswer(
  via: string | undefined,
  name: string,
): { readonly status: number; readonly text: string } | undefined {
  if (via === undefined || !hasPassed(via, name)) return undefined;
  const { status, message } = ERRORS.GW_LOOP;
  return { status, text: `GW_LOOP: ${message}\n` };
}
