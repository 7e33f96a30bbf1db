import Type from 'typebox';
import { duration, flag, path, reload, section, text } from './option.ts';

export const lifecycle = section('How the gateway starts and ends, as SAP Web Dispatcher does.', {
  maxInitTime: reload(
    duration(
      'How long the gateway stays Starting at most. It ends earlier when the instances of every pool have been probed.',
      { default: '2m' },
    ),
  ),
  statusPollInterval: reload(
    duration(
      'How long a gateway that stops still accepts connections after its state says so. As long as the load balancers in front take to notice: their interval times the failures they wait for. `0s` accepts no more at once.',
      { default: '0s', atLeast: '0s' },
    ),
  ),
  shutdownTimeout: reload(
    duration(
      'How long a stop takes at most, `statusPollInterval` included. What is not answered shortly before that is cut off.',
      { default: '90s', atLeast: '0s' },
    ),
  ),
  watchdogTimeout: reload(
    duration(
      'How long a worker or the controller may hang before the supervisor kills it and another one takes its place. `0s`: for ever.',
      { default: '10s', atLeast: '0s' },
    ),
  ),
});

// A path as it stands in a request, without what would need decoding.
const PREFIX = "^(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+$";

export const statePage = section(
  'The page that tells load balancers the state of the gateway: `<prefix>/publicicp/show_init_statepub.icp`, on the data plane and on the admin plane.',
  {
    prefixes: reload(
      Type.Array(
        text('What its path begins with.', {
          pattern: PREFIX,
          expects: 'a path such as /sap/wdisp/admin, without "/" at its end',
        }),
        {
          default: ['/sap/wdisp/admin'],
          uniqueItems: true,
          description:
            'What the paths of the page begin with. Requests for them never reach an instance. None: neither it nor `/sap/public/icman/ping`, which answers likewise, is there.',
        },
      ),
    ),
    alwaysOk: reload(
      flag(
        'Answer 200 in every state, for monitors that read the word. Otherwise only Running is answered 200, and all else 503.',
        false,
      ),
    ),
  },
);

export const maintenance = section(
  'What requests are answered while an operator has put the gateway into maintenance.',
  {
    pageFile: reload(
      Type.Optional(
        path(
          'HTML file in UTF-8 for clients that do not speak SOAP. SOAP callers get a Fault in any case. Default: one line of text.',
        ),
      ),
    ),
    retryAfter: reload(
      duration('When clients are asked to come back (`Retry-After`), rounded up to seconds.', {
        default: '1m',
      }),
    ),
  },
);
