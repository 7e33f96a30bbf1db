/** Which element of a body names the agent. The real one is not public, and may differ from site to site. */
export interface Dialect {
  /** In operations with which agents log on and off, and set their state. */
  readonly userElement: string;
  /** In all other operations. */
  readonly workElement: string;
}

export const DIALECTS = {
  /** One of the names that gateways know by default. */
  user: { userElement: 'user', workElement: 'user' },
  /** Gateways with default elements find no agent in most requests. */
  'agent-login': { userElement: 'user', workElement: 'agentLogin' },
} as const satisfies Readonly<Record<string, Dialect>>;

export type DialectName = keyof typeof DIALECTS;

export const DIALECT_NAMES = Object.keys(DIALECTS) as readonly DialectName[];
