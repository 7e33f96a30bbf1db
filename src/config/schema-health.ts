import * as Type from 'typebox';
import { choice, count, duration, reload, section, TOKEN, TOKEN_EXPECTS, text, written } from './option.ts';

const probeHeader = Object.assign(
  section('A header field of probes.', {
    name: reload(text('Name of the field.', { pattern: TOKEN, expects: TOKEN_EXPECTS })),
    value: reload(
      text('Value of the field. It may be a secret: it is masked wherever the configuration is shown.', {
        pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]+$',
        expects: 'text of printable characters without line breaks',
        secret: 'value',
      }),
    ),
  }),
  // For text instead of a section, as in "Authorization: …".
  { secret: 'value' },
);

export const health = section('How instances are probed.', {
  path: reload(
    text('Path of the health page, fetched with GET.', {
      default: '/',
      pattern: '^/[^#\\s]*$',
      expects: 'a path that starts with "/"',
    }),
  ),
  port: reload(
    Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description:
          'Port of the health page, if it is not that of the instance: at the same host, with the same scheme and TLS. Then the state of this port decides whether the instance gets requests.',
      }),
    ),
  ),
  headers: reload(
    Type.Array(probeHeader, {
      default: [],
      expects: 'a list of header fields, each with a name and a value',
      secret: 'value',
      description:
        'Header fields of probes, such as `{ name: Authorization, value: Basic … }`. They replace those that probes have by themselves (`User-Agent`, `Accept`).',
    }),
  ),
  host: reload(
    Type.Optional(
      text('Host header of probes. Default: host and port of the probed URL.', {
        pattern: '^[^\\s/]+$',
        expects: 'a host name, with port where needed',
      }),
    ),
  ),
  expectedStatus: reload(
    Type.Array(
      Type.Unsafe<string>({
        anyOf: [{ type: 'string' }, { type: 'integer' }],
        syntax: 'status',
        expects: 'a status such as 200 or a range such as 200-299',
        description: 'A status or a range.',
      }),
      {
        default: ['200-299'],
        minItems: 1,
        description: 'Statuses, or ranges of them, that a healthy instance answers with.',
      },
    ),
  ),
  bodyMatches: reload(
    Type.Optional(
      written(
        'pattern',
        'Regular expression that the health page of a healthy instance matches. The page is read in its charset: that of Content-Type, else the one that it declares itself, else UTF-8, else windows-1252. Only its first 64 KB are read. Patterns run on the engine RE2 without backtracking, so that none can hang the gateway: look-around and back-references are refused.',
      ),
    ),
  ),
  bodyRejects: reload(
    Type.Optional(
      written('pattern', 'Regular expression that the health page of a healthy instance does not match.'),
    ),
  ),
  profile: reload(
    choice(
      ['careful', 'balanced', 'fast'],
      'The defaults of `interval`, `fastInterval`, `timeout` and `fall`. A hung instance counts as down after about 4 s (`careful`), 2.5 s (`balanced`) or 1 s (`fast`), and its agents log on again elsewhere. A connector that pauses for as long, for example to collect garbage, loses its agents too.',
      { default: 'careful' },
    ),
  ),
  interval: reload(
    duration('Time between probes of an instance whose state is certain.', {
      computed: 'probeInterval',
      atLeast: '10ms',
      atMost: '1h',
    }),
  ),
  fastInterval: reload(
    duration(
      'Time between probes while the state is in doubt. Multiplied by `fall`, it is about the time to notice a dead instance.',
      {
        computed: 'probeFastInterval',
        atLeast: '10ms',
        atMost: '1h',
      },
    ),
  ),
  timeout: reload(
    duration('Time for a probe, from connecting to the end of the page.', {
      computed: 'probeTimeout',
      atLeast: '10ms',
      atMost: '5m',
    }),
  ),
  rise: reload(count('Good probes in a row that turn a down instance up.', 1, 100, 2)),
  fall: reload(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      computed: 'probeFall',
      description:
        'Bad probes in a row that turn an up instance down. Its agents must log on again elsewhere, so 1 costs agents for a single lost packet.',
    }),
  ),
  jitter: reload(
    Type.Number({
      minimum: 0,
      maximum: 0.5,
      default: 0.1,
      description:
        'Random part of each interval, as a fraction, so that gateways do not probe at the same moments.',
    }),
  ),
  incarnation: reload(
    Type.Optional(
      written(
        'capture',
        'Regular expression with exactly one capture group, which finds a text on the health page that differs after each start, such as a start time. Without it a restart between two probes goes unnoticed, and agents reach an instance that has forgotten them.',
      ),
    ),
  ),
  incarnationPointer: reload(
    Type.Optional(
      written(
        'pointer',
        'Alternative to `incarnation` for a health page in JSON: a JSON Pointer (RFC 6901) to a text or a number, such as `/process/started`.',
      ),
    ),
  ),
  emptyMatches: reload(
    Type.Optional(
      written(
        'pattern',
        'Regular expression that the health page matches while the instance has no agent session. With it, an instance that was cut off and comes back need not wait for an operator, and a drain ends when the page matches and no gateway has sent the instance a request for `identity.logoffGrace`, whatever bindings are left.',
      ),
    ),
  ),
  settleTimeout: reload(
    duration(
      'How long the gateway waits after its start for a first result from every instance. After that it serves without.',
      { default: '10s' },
    ),
  ),
});
