import type { NameKind } from './identity.ts';
import type { InstanceId } from './instance.ts';
import type { Cause } from './origin.ts';

/** How a gateway learnt the agent's names: SAP asserts them, a body holds them, or the client address is the name. */
export type AgentIdentity = 'asserted' | 'found' | 'address';

/** One agent in a list of agents. */
export interface AgentLine {
  readonly name: string;
  readonly kind: NameKind;
  readonly instance: InstanceId;
  readonly incarnation: string | null;
  readonly generation: number;
  readonly identity: AgentIdentity;
  /** The group by the file or the patterns of `groups`; `null` without one. Earlier releases do not tell. */
  readonly group: string | null;
  /** `null` if a gateway of an earlier release bound the agent. */
  readonly boundSince: string | null;
  /** The time of the agent's last request, accurate to `lastActiveWithinSeconds`. */
  readonly lastActive: string;
  /** The agent has logged off and sent no request since, so the binding ends soon. Earlier releases do not tell. */
  readonly loggedOff: boolean;
  readonly expiresInSeconds: number;
}

export interface AgentPage {
  readonly agents: readonly AgentLine[];
  /** The greatest error of `lastActive`, in either direction. */
  readonly lastActiveWithinSeconds: number;
  /** The `cursor` of the next page; `null` on the last page. */
  readonly next: string | null;
}

/** Why an agent is where it is. `active`: in a failover pool. `unknown`: a gateway of an earlier release bound it. */
export interface AgentCause {
  readonly kind: Cause['kind'] | 'active' | 'unknown';
  readonly gateway: string | null;
  readonly balancer: string | null;
  readonly epoch: number | null;
  /** The operator. */
  readonly by: string | null;
  readonly why: string | null;
}

/** Where one agent is, since when, and why. */
export interface AgentStatus {
  readonly pool: string;
  readonly mode: 'failover' | 'sticky';
  readonly name: string;
  readonly kind: NameKind;
  readonly instance: InstanceId;
  readonly incarnation: string | null;
  /** False if the instance has lost the agent, so that the next request moves it. */
  readonly current: boolean;
  /** `null` in failover pools that bind no agents; so are the others below. */
  readonly generation: number | null;
  readonly identity: AgentIdentity | null;
  readonly group: string | null;
  readonly boundSince: string | null;
  readonly cause: AgentCause;
  /** For people: what the other fields say. */
  readonly sentence: string;
  readonly aliases: readonly { readonly kind: NameKind; readonly name: string }[];
  readonly lastActive: string | null;
  readonly lastActiveWithinSeconds: number;
  readonly loggedOff: boolean;
  readonly expiresInSeconds: number | null;
  readonly moving: { readonly to: InstanceId } | null;
}
