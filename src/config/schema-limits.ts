import { count, duration, reload, restart, section, size } from './option.ts';

export const timeouts = section('How long anything may take.', {
  connect: reload(
    duration(
      'Time to connect to an instance, TLS included. After a time-out nothing was sent, so the request may go to another instance.',
      { default: '1s' },
    ),
  ),
  responseHeader: reload(
    duration('Time from the end of the request to the first byte of the answer.', {
      default: '30s',
    }),
  ),
  responseIdle: reload(duration('Longest gap between bytes of an answer.', { default: '30s' })),
  total: reload(
    duration('Time for a request, from its header to the end of its answer.', { default: '60s' }),
  ),
  park: reload(
    duration(
      'How long an unsent request is held while no instance can take it. `0s` answers at once with a SOAP Fault.',
      { default: '5s', atLeast: '0s' },
    ),
  ),
  requestHeader: reload(duration('Time for a client to send the header of a request.', { default: '10s' })),
  requestBody: reload(duration('Time for a client to send the body of a request.', { default: '30s' })),
  clientIdle: reload(
    duration(
      'How long an idle connection of a client is kept. Set it longer than the idle timeout of the load balancer in front.',
      { default: '75s' },
    ),
  ),
  resolve: reload(
    duration('How often the host names of instances are resolved again.', {
      default: '5s',
      atLeast: '100ms',
    }),
  ),
  connectionAge: reload(
    duration('Maximum age of a connection to an instance. An older one takes no more requests.', {
      default: '5m',
      atLeast: '1s',
    }),
  ),
  instanceIdle: reload(
    duration(
      "How long an idle connection to an instance is kept. Must stay below the instance's own idle timeout: a POST sent into a closing connection ends as outcome unknown.",
      {
        default: '4s',
      },
    ),
  ),
});

export const limits = section('Limits of size and number.', {
  headerBytes: reload(
    size(
      'Header of a request; more is answered 431. Headers of answers may have the same size, and at least 64 KB.',
      {
        default: '16KB',
        atLeast: '1KB',
        atMost: '1MB',
      },
    ),
  ),
  headers: reload(count('Header fields of a request; more is answered 431.', 10, 2000, 100)),
  bodyBytes: reload(
    size('Body of a request; more is answered 413.', {
      default: '100MB',
      atLeast: '1KB',
      atMost: '4GB',
    }),
  ),
  identityBytes: reload(
    size('How much of a body is buffered and searched for the agent. The rest is streamed.', {
      default: '64KB',
      atLeast: '1KB',
      atMost: '4MB',
    }),
  ),
  xmlDepth: restart(
    'agentNames',
    count(
      'Maximum depth of elements that are searched in a SOAP message. Envelope is 1, Body 2, the operation 3, its parameters 4.',
      3,
      16,
      6,
    ),
  ),
  connections: reload(
    count(
      'Connections of clients to one worker. At the limit, idle and slow ones of the address that has most of them are closed for new ones; if there are none, the new ones are closed. Both are counted.',
      1,
      1_000_000,
      10_000,
    ),
  ),
  inFlight: reload(
    count(
      'Requests in progress in one worker; more is answered 503. A request counts when its body has arrived. The last tenth is for addresses that have less than a tenth. Bodies that are arriving take at most `limits.identityBytes` times this number of memory.',
      1,
      1_000_000,
      2000,
    ),
  ),
  queued: reload(
    count('Requests that wait for a busy instance, per instance; more is answered 503.', 0, 1_000_000, 200),
  ),
  parked: reload(
    count(
      'Requests that wait for an instance to come back, per pool; more is answered 503.',
      0,
      1_000_000,
      1000,
    ),
  ),
});
