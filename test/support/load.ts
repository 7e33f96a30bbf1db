import { Agent, request } from 'node:http';
import { subscribeEnvelope } from './soap.ts';

/** The outcome of one request for the client. */
export interface Outcome {
  /** `x-sim-delivery`, by which simulated connectors count deliveries: the user, a dot, and a unique part. */
  readonly id: string;
  readonly user: string;
  /** 0 without a complete answer. */
  readonly status: number;
  readonly connector: string | undefined;
  /** The incarnation of the connector. */
  readonly incarnation: string | undefined;
  /** The gateway's error code, if the gateway itself answered. */
  readonly code: string | undefined;
  readonly error: string | undefined;
  readonly startedAt: number;
  readonly durationMs: number;
  /** The client's port of the connection; undefined without a connection. */
  readonly port: number | undefined;
  /** The time to connect; undefined without a connection. */
  readonly connectedMs: number | undefined;
}

export interface Sending {
  /** Used instead of a new connection. */
  readonly agent?: Agent;
  /** Called when the kernel has the whole request, even if no process reads it. */
  readonly onSent?: () => void;
  /** The time limit in milliseconds, after which it fails with `ETIMEDOUT`; no limit by default. */
  readonly giveUpMs?: number;
}

let sequence = 0;

/** Sends one `subscribe` of the user, or another operation, over a new TCP connection, like SAP. Never rejects. */
export function post(
  url: string,
  user: string,
  headers: Record<string, string> = {},
  operation = 'subscribe',
  { agent = new Agent({ keepAlive: false }), onSent = () => undefined, giveUpMs }: Sending = {},
): Promise<Outcome> {
  sequence += 1;
  const id = `${user}.${process.pid}-${sequence}`;
  const startedAt = performance.now();
  let port: number | undefined;
  let connectedMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  return new Promise((resolve) => {
    const end = (status: number, rest: Partial<Outcome> = {}): void => {
      clearTimeout(timer);
      resolve({
        id,
        user,
        status,
        connector: undefined,
        incarnation: undefined,
        code: undefined,
        error: undefined,
        startedAt,
        durationMs: performance.now() - startedAt,
        port,
        connectedMs,
        ...rest,
      });
    };
    const outgoing = request(`${url}/ici`, {
      method: 'POST',
      agent,
      headers: { 'content-type': 'text/xml', soapuser: user, 'x-sim-delivery': id, ...headers },
    });
    outgoing.once('finish', onSent);
    outgoing.once('socket', (socket) => {
      const look = (): void => {
        port = socket.localPort;
        connectedMs = performance.now() - startedAt;
      };
      if (socket.connecting) socket.once('connect', look);
      else look();
    });
    if (giveUpMs !== undefined) {
      const late = Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' });
      timer = setTimeout(() => outgoing.destroy(late), giveUpMs);
    }
    outgoing.on('error', (error: NodeJS.ErrnoException) => end(0, { error: error.code ?? error.message }));
    outgoing.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('error', (error: NodeJS.ErrnoException) => end(0, { error: error.code ?? error.message }));
      response.on('end', () =>
        end(response.statusCode ?? 0, {
          connector: response.headers['x-connector'] as string | undefined,
          incarnation: response.headers['x-incarnation'] as string | undefined,
          code: /<gw:code>(GW_\w+)<\/gw:code>/.exec(body)?.[1],
        }),
      );
    });
    outgoing.end(subscribeEnvelope({ user }, operation));
  });
}

/** An operation without effect at a connector: a logon would hide from the agent that it was moved. */
const HARMLESS = 'getAttributes';

/** Connections over which a gateway has answered each user once, and which can hold waiting requests. */
export interface KeptConnections {
  /** The answers from when they were opened. */
  readonly first: readonly Outcome[];
  /** Sends one request on each; resolves once the kernel has all of them. */
  send(): Promise<Promise<Outcome>[]>;
  close(): void;
}

/**
 * A gateway that continues after SIGSTOP first reads the data on accepted
 * connections, before anything else: the hardest test of its checks
 * before it acts.
 */
export async function keepConnections(url: string, users: readonly string[]): Promise<KeptConnections> {
  const lanes = users.map((user) => ({ user, agent: new Agent({ keepAlive: true, maxSockets: 1 }) }));
  const first = await Promise.all(lanes.map(({ user, agent }) => post(url, user, {}, HARMLESS, { agent })));
  return {
    first,
    send: async () => {
      const outcomes: Promise<Outcome>[] = [];
      const sent = lanes.map(
        ({ user, agent }) =>
          new Promise<void>((resolve) => {
            outcomes.push(post(url, user, {}, HARMLESS, { agent, onSent: () => resolve() }));
          }),
      );
      await Promise.all(sent);
      return outcomes;
    },
    close: () => {
      for (const { agent } of lanes) agent.destroy();
    },
  };
}

export interface RunningLoad {
  /** Ended requests, in the order of their ends. */
  readonly outcomes: Outcome[];
  /** Stops sending; resolves when the last request has ended. */
  stop(): Promise<Outcome[]>;
}

/**
 * Each agent sends one request after the other, `pauseMs` apart, through the
 * gateways in turn.
 */
export function startLoad(urls: readonly string[], users: readonly string[], pauseMs: number): RunningLoad {
  const outcomes: Outcome[] = [];
  let stopping = false;
  const lanes = users.map(async (user, lane) => {
    for (let turn = lane; !stopping; turn += 1) {
      outcomes.push(await post(urls[turn % urls.length] as string, user));
      await new Promise((next) => {
        setTimeout(next, pauseMs);
      });
    }
  });
  return {
    outcomes,
    stop: async () => {
      stopping = true;
      await Promise.all(lanes);
      return outcomes;
    },
  };
}

/** Each agent sends a request every `everyMs`, whether or not the earlier ones have ended. */
export function startOpenLoad(
  urls: readonly string[],
  users: readonly string[],
  everyMs: number,
): RunningLoad {
  const outcomes: Outcome[] = [];
  const underWay = new Set<Promise<void>>();
  let turn = 0;
  const timer = setInterval(() => {
    turn += 1;
    for (const [i, user] of users.entries()) {
      const running = post(urls[(turn + i) % urls.length] as string, user).then((outcome) => {
        outcomes.push(outcome);
        underWay.delete(running);
      });
      underWay.add(running);
    }
  }, everyMs);
  return {
    outcomes,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(underWay);
      return outcomes;
    },
  };
}

export function users(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`);
}
