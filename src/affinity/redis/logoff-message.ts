/**
 * The message that an agent has logged off. Gateways of an earlier release read it as a move of two names, so they
 * forget the agent, and ask the store about the agent's next request: `["moved", <root>, <name>]`. The name holds the
 * rest. It begins like a client address, but no address has such a text.
 */
export const LOGOFF_NAME = 'a!logged-off|';

export interface LogOffMessage {
  readonly generation: number;
  readonly endsInMs: number;
  readonly ageMs: number;
  /** The store client that has caused it. */
  readonly origin: string;
}

/** The caller's part of the message. */
export function callerText(ageMs: number, origin: string): string {
  return `${Math.ceil(ageMs)}|${origin}`;
}

/** What the second name of a message says; `undefined` if it is a name. */
export function readLogOff(name: string | undefined): LogOffMessage | undefined {
  if (name?.startsWith(LOGOFF_NAME) !== true) return undefined;
  const [generation, endsInMs, ageMs, origin = ''] = name.slice(LOGOFF_NAME.length).split('|');
  return { generation: Number(generation), endsInMs: Number(endsInMs), ageMs: Number(ageMs), origin };
}
