import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { setPriority } from 'node:os';
import { subscribeEnvelope } from '../support/soap.ts';

/** The clients of one attack, in a process of their own: `run.ts` forks it, and ends it when the attack is over. */

export interface Attack {
  readonly kind: 'slow bodies' | 'slow readers' | 'idle connections' | 'guessers' | 'invented names';
  readonly port: number;
  readonly sockets: number;
  /** What guessers send. */
  readonly request?: string;
  /** New names in a second. */
  readonly rate?: number;
}

export interface Progress {
  readonly opened: number;
  readonly closed: number;
  readonly answers: Readonly<Record<string, number>>;
}

// The attackers stand for other machines, so the gateway and its agents go first on this one.
const LOWEST_PRIORITY = 19;
const TELL_EVERY_MS = 250;
const TRICKLE_EVERY_MS = 1_000;
const READ_NOTHING_MS = 3_000;
const AGAIN_AFTER_MS = 100;
const OPENED_WITHIN_MS = 1_000;
const LOOK_EVERY_MS = 20;
// Another address than that of the agents.
const ATTACKER = '127.0.0.2';

let opened = 0;
let closed = 0;
const answers: Record<string, number> = {};

setPriority(LOWEST_PRIORITY);
process.on('disconnect', () => process.exit());
process.on('message', (attack: Attack) => {
  if (attack.kind === 'invented names') invent(attack);
  // Not all at once: what is measured is the attack, not its first moment.
  else
    for (let i = 0; i < attack.sockets; i += 1)
      setTimeout(keepOpen, Math.random() * OPENED_WITHIN_MS, attack);
  setInterval(() => process.send?.({ opened, closed, answers } satisfies Progress), TELL_EVERY_MS);
});

function open(port: number, begin: (socket: Socket) => void, ended: () => void): void {
  const socket = connect({ port, host: '127.0.0.1', localAddress: ATTACKER });
  socket.on('connect', () => {
    opened += 1;
    begin(socket);
  });
  socket.once('data', (data: Buffer) => {
    const [, status = 'none'] = /^HTTP\/1\.1 (\d{3})/.exec(data.toString('latin1', 0, 12)) ?? [];
    answers[status] = (answers[status] ?? 0) + 1;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed += 1;
    ended();
  });
}

/** Opens a connection, and another one when it is closed. */
function keepOpen(attack: Attack): void {
  const { kind, port, request = '' } = attack;
  open(
    port,
    (socket) => {
      switch (kind) {
        case 'slow bodies': {
          socket.write(
            'POST /ici HTTP/1.1\r\nhost: gateway\r\ncontent-type: text/xml\r\ncontent-length: 1000\r\n\r\n<',
          );
          const trickle = setInterval(() => socket.write(' '), TRICKLE_EVERY_MS);
          socket.on('close', () => clearInterval(trickle));
          break;
        }
        case 'slow readers':
          socket.write('GET /long HTTP/1.1\r\nhost: gateway\r\nsoapuser: READER\r\n\r\n');
          socket.once('data', () => socket.pause());
          // A client that does not read does not notice that its connection was closed.
          setTimeout(() => socket.destroy(), around(READ_NOTHING_MS));
          break;
        case 'guessers':
          socket.write(request);
          break;
      }
    },
    () => setTimeout(keepOpen, around(AGAIN_AFTER_MS), attack),
  );
}

/** Attackers are independent of each other: connections that are closed together are not opened together again. */
function around(ms: number): number {
  return ms * (0.5 + Math.random());
}

/** An open loop, bounded by the number of sockets. */
function invent({ port, rate = 0, sockets }: Attack): void {
  const most = (2 * rate * LOOK_EVERY_MS) / 1_000;
  const begunAt = performance.now();
  let sent = 0;
  let pending = 0;
  setInterval(() => {
    const due = ((performance.now() - begunAt) / 1_000) * rate;
    // What this machine cannot send in time is left out, because to make up for it would be a burst, not a rate.
    if (due - sent > most) sent = due - most;
    for (; sent < due && pending < sockets; sent += 1) {
      pending += 1;
      const user = `INVENTED${process.pid}X${sent}`;
      const body = subscribeEnvelope({ user });
      open(
        port,
        (socket) =>
          socket.write(
            `POST /ici HTTP/1.1\r\nhost: gateway\r\nsoapuser: ${user}\r\nconnection: close\r\ncontent-type: text/xml\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
          ),
        () => {
          pending -= 1;
        },
      );
    }
  }, LOOK_EVERY_MS);
}
