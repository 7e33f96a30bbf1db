import * as Type from 'typebox';
import type { NamePlace, NameSource, UnnamedReason } from '../../core/seen-names.ts';
import { count, word } from './fields.ts';

// Every word once; one that is missing here is an error.
const SOURCES: Readonly<Record<NameSource, true>> = {
  header: true,
  cookie: true,
  body: true,
  address: true,
  none: true,
};
export const NAME_SOURCES = Object.keys(SOURCES) as NameSource[];
const PLACES: Readonly<Record<NamePlace, true>> = { header: true, cookie: true, body: true };
const REASONS: Readonly<Record<UnnamedReason, true>> = {
  'no-name': true,
  refused: true,
  shared: true,
  doctype: true,
  'not-xml': true,
  encoding: true,
  multipart: true,
  'too-deep': true,
  'too-long': true,
};

const REQUESTS = count('requests');
const OPERATION = Type.Object({
  operation: Type.String({ description: 'its local name; rare ones count as (others)' }),
  requests: REQUESTS,
});

export const SOURCE_SHARE = Type.Object({
  source: word(NAME_SOURCES, {
    description: 'where the name that decides was found; none: the request names no agent',
  }),
  requests: REQUESTS,
  share: Type.Number({ minimum: 0, maximum: 1, description: 'of all requests' }),
});

export const SEEN_NAMES = Type.Object(
  {
    pool: Type.String(),
    seconds: count(
      'the length of the period: an hour, or less if all workers started later, as after a reload',
    ),
    partial: Type.Boolean({ description: 'a worker did not answer in time, so its requests are missing' }),
    requests: count('requests of the period'),
    sources: Type.Array(SOURCE_SHARE),
    reasons: Type.Array(
      Type.Object({
        reason: word(Object.keys(REASONS) as UnnamedReason[], {
          description: 'why a request names no agent',
        }),
        requests: REQUESTS,
      }),
    ),
    unnamedOperations: Type.Array(
      Type.Object({
        ...OPERATION.properties,
        elements: Type.Optional(
          Type.Array(Type.String(), {
            description: 'local names of its elements that hold text, in a sample of its requests; no values',
          }),
        ),
      }),
      { description: 'the twenty operations that most often named no agent' },
    ),
    searched: count('bodies that were searched for names'),
    elements: Type.Array(
      Type.Object({
        kind: word(['user', 'session'], { description: 'what it names' }),
        element: Type.String({
          description: 'as in identity; one of another namespace or operation names that too',
        }),
        requests: count('bodies in which it held the name'),
      }),
      { description: 'the configured elements, the best first' },
    ),
    ignored: Type.Array(
      Type.Object({
        source: word(Object.keys(PLACES) as NamePlace[], { description: 'where the value stood' }),
        reason: Type.String({ description: 'as in gateway_names_ignored_total' }),
        values: count('values that were not used as names'),
      }),
    ),
    conflicts: Type.Array(OPERATION, {
      description: 'operations whose bodies name an agent who is bound to another instance',
    }),
  },
  {
    title: 'SeenNames',
    description: 'how the requests of a pool named their agents in the last hour, at this gateway',
  },
);
