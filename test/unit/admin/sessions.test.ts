import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Sessions } from '../../../src/admin/auth/sessions.ts';
import type { AdminUser } from '../../../src/core/password-record.ts';

const MINUTE = 60_000;
const IDLE_MS = 30 * MINUTE;
const LIFETIME_MS = 12 * 60 * MINUTE;

const MILLER: AdminUser = {
  user: 'miller',
  role: 'viewer',
  cost: { logN: 14, blockSize: 1, parallelization: 1 },
  salt: Buffer.from('salt'),
  hash: Buffer.from('hash'),
};

let users: AdminUser[];

function controller(secret = 'secret'): Sessions {
  return new Sessions({ secret, idleMs: IDLE_MS, lifetimeMs: LIFETIME_MS, users: () => users });
}

beforeEach(() => {
  users = [MILLER];
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a session', () => {
  test('ends some time after the last action of its user', () => {
    const sessions = controller();
    const cookie = sessions.start(MILLER);
    vi.advanceTimersByTime(IDLE_MS - 1);
    expect(sessions.find(cookie)).toMatchObject({ user: 'miller' });
    vi.advanceTimersByTime(1);
    expect(sessions.find(cookie)).toBeUndefined();
  });

  test('is prolonged by actions until its last end, at a page with an old cookie too', () => {
    const sessions = controller();
    const first = sessions.start(MILLER);
    let cookie = first;
    for (let passed = 0; passed < LIFETIME_MS - 20 * MINUTE; passed += 20 * MINUTE) {
      vi.advanceTimersByTime(20 * MINUTE);
      const session = sessions.find(cookie);
      expect(session).toBeDefined();
      cookie = (session && sessions.use(session)) ?? cookie;
    }
    expect(sessions.find(first)).toBeDefined();
    vi.advanceTimersByTime(20 * MINUTE);
    expect([sessions.find(first), sessions.find(cookie)]).toEqual([undefined, undefined]);
  });

  test('sets no cookie for actions shortly after each other', () => {
    const sessions = controller();
    const session = sessions.find(sessions.start(MILLER));
    if (session === undefined) throw new Error('the session is not found');
    expect(sessions.use(session)).toBeUndefined();
    vi.advanceTimersByTime(MINUTE);
    expect(sessions.use(session)).toBeDefined();
  });

  test('is known to the next controller of the gateway, and to no other gateway', () => {
    const cookie = controller().start(MILLER);
    expect(controller().find(cookie)).toMatchObject({ user: 'miller' });
    expect(controller('another secret').find(cookie)).toBeUndefined();
  });

  test('ends with a log-out, a removal of its user, and a change of the password', () => {
    const sessions = controller();
    const [left, kept] = [sessions.start(MILLER), sessions.start(MILLER)];
    const session = sessions.find(left);
    if (session === undefined) throw new Error('the session is not found');
    sessions.end(session);
    expect([sessions.find(left), sessions.find(kept)?.user]).toEqual([undefined, 'miller']);
    users = [{ ...MILLER, hash: Buffer.from('hash of another password') }];
    expect(sessions.find(kept)).toBeUndefined();
    users = [];
    expect(sessions.find(kept)).toBeUndefined();
    // Another role is no reason: it is looked up at each request.
    users = [{ ...MILLER, role: 'admin' }];
    expect(sessions.find(kept)).toBeDefined();
  });

  test.each(['', '.', 'e30.', 'bnVsbA.x', 'WyJpZCIsIm1pbGxlciIsMSwxXQ.x'])(
    'is not made by the cookie %j',
    (cookie) => {
      expect(controller().find(cookie)).toBeUndefined();
    },
  );
});
