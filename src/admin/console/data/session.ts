import type { Role } from '../../../core/role.ts';
import { mayUse } from '../../../core/role.ts';
import type { Answer, Problem } from './client.ts';
import { change, readAfterAction, whenSessionEnds } from './client.ts';
import type { Session } from './contract.ts';
import { live } from './live.ts';
import { Store } from './store.ts';

export interface SessionState {
  /** `undefined` until the gateway has answered. */
  readonly session: Session | undefined;
  readonly problem: Problem | undefined;
  /** There was a session, and it is over. */
  readonly hasEnded: boolean;
  /** The user of that session. */
  readonly endedUser: string;
}

export const session = new Store<SessionState>({
  session: undefined,
  problem: undefined,
  hasEnded: false,
  endedUser: '',
});

const RETRY_MS = 3_000;
let isWaiting = false;

/** Asks who is logged in, after an action of the user, and begins to listen if the status may be read. */
export async function loadSession(): Promise<void> {
  const answer = await readAfterAction<Session>('/session');
  if (!answer.ok) {
    session.set({ ...session.value, problem: answer.problem });
    retryLater();
    return;
  }
  const before = session.value.session;
  const hasEnded = before?.kind === 'user' && answer.body.kind === null;
  session.set({
    session: answer.body,
    problem: undefined,
    hasEnded: hasEnded || session.value.hasEnded,
    endedUser: hasEnded ? (before.user ?? '') : session.value.endedUser,
  });
  if (answer.body.kind === null) live.stop();
  else live.start();
}

function retryLater(): void {
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(() => {
    isWaiting = false;
    void loadSession();
  }, RETRY_MS);
}

export async function logIn(user: string, password: string): Promise<Answer<unknown>> {
  const answer = await change('POST', '/session', { user, password });
  if (answer.ok) {
    session.set({ ...session.value, hasEnded: false, endedUser: '' });
    await loadSession();
  }
  return answer;
}

export async function logOut(): Promise<void> {
  await change('DELETE', '/session');
  session.set({ session: undefined, problem: undefined, hasEnded: false, endedUser: '' });
  await loadSession();
}

/** Why an act cannot be done by this session; `undefined` if it can. */
export function whyNot(role: Role, current: Session | undefined): string | undefined {
  if (current === undefined) return 'It is not known yet who is logged in.';
  if (mayUse(role, current.role ?? undefined)) return undefined;
  if (current.kind === 'loopback')
    return 'This gateway takes no changes: set admin.passwordFile or admin.tokens in its configuration.';
  return `This needs the role ${role}; you have ${current.role === null ? 'none' : `the role ${current.role}`}.`;
}

let isAsking = false;
whenSessionEnds(() => {
  // Several questions may be refused at once.
  if (isAsking) return;
  isAsking = true;
  void loadSession().finally(() => {
    isAsking = false;
  });
});
