import * as Type from 'typebox';
import { duration, flag, path, reload, section, text } from './option.ts';

export const lifecycle = section('How the gateway starts and stops, with the states of SAP Web Dispatcher.', {
  maxInitTime: reload(
    duration(
      'Maximum time in state Starting. It ends earlier once the instances of every pool have been probed.',
      { default: '2m' },
    ),
  ),
  statusPollInterval: reload(
    duration(
      'How long a stopping gateway still accepts connections after its state shows that it stops. Set it to the time that load balancers in front need to notice: their interval times the failures they wait for. With `0s` it stops accepting at once.',
      { default: '0s', atLeast: '0s' },
    ),
  ),
  shutdownTimeout: reload(
    duration(
      'Maximum time for a stop, `statusPollInterval` included. Requests that are still open shortly before its end are cut off.',
      { default: '90s', atLeast: '0s' },
    ),
  ),
  watchdogTimeout: reload(
    duration(
      'How long a worker or the controller may hang before the supervisor kills and restarts it. `0s`: without limit.',
      { default: '10s', atLeast: '0s' },
    ),
  ),
});

// A path in a request, without characters that need decoding.
const PREFIX = "^(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+$";

export const statePage = section(
  'The page that tells load balancers the state of the gateway: `<prefix>/publicicp/show_init_statepub.icp`, on the data plane and on the admin plane.',
  {
    prefixes: reload(
      Type.Array(
        text('Start of the path.', {
          pattern: PREFIX,
          expects: 'a path such as /sap/wdisp/admin, without "/" at its end',
        }),
        {
          default: ['/sap/wdisp/admin'],
          uniqueItems: true,
          description:
            'Start of the paths of the page. Requests for them never reach an instance. With an empty list, neither the page nor `/sap/public/icman/ping`, which gives the same answers, exists.',
        },
      ),
    ),
    alwaysOk: reload(
      flag(
        'Answer 200 in every state, for monitors that read the text of the page. Otherwise Running gives 200, and every other state 503.',
        false,
      ),
    ),
  },
);

export const maintenance = section(
  'How requests are answered while an operator has put the gateway into maintenance.',
  {
    pageFile: reload(
      Type.Optional(
        path(
          'HTML file in UTF-8 for clients that do not speak SOAP. SOAP callers get a Fault in any case. Default: one line of text.',
        ),
      ),
    ),
    retryAfter: reload(
      duration('When clients should try again (`Retry-After`), rounded up to seconds.', {
        default: '1m',
      }),
    ),
  },
);
