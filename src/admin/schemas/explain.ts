import * as Type from 'typebox';
import type { ErrorCode } from '../../core/errors.ts';
import { ERRORS } from '../../core/errors.ts';
import {
  EXPLAINED_DECISIONS,
  EXPLAINED_OUTCOMES,
  EXPLAINED_PARTS,
  EXPLAINED_WAITS,
} from '../../core/explanation.ts';
import { count, nullable, text, word } from './fields.ts';

/** Longer than any request whose body is searched, with all its quotes escaped. */
export const EXPLAIN_BYTES = 256 * 1_024;

const FROM = Type.Optional(text(64, 'the address from which the request would come'));

export const EXPLAIN_BODY = Type.Object(
  {
    user: Type.Optional(text(256, 'a user name, as SAP asserts it in a header')),
    session: Type.Optional(text(4_096, 'a session, or the hash of one, as SAP asserts it in a cookie')),
    headers: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^:\\s]+:' }), {
        maxItems: 100,
        description: 'a list of header fields, each as `name: value`',
      }),
    ),
    request: Type.Optional(text(EXPLAIN_BYTES, 'a whole HTTP request: its request line, header and body')),
    from: FROM,
  },
  { additionalProperties: false },
);

const NAME = Type.Object(
  {
    kind: word(['user', 'session', 'address'], { description: 'what the name is' }),
    value: Type.String({ description: 'the name in its stored form; of a session its hash' }),
    evidence: word(['asserted', 'found'], {
      description: 'SAP asserts the name, or it was only found in the body and may be another person’s',
    }),
    source: word(['asked', 'header', 'cookie', 'body', 'address'], {
      description: 'where the name stands; asked: the question itself names it',
    }),
  },
  { title: 'ExplainedName', description: 'a name of the agent' },
);

const STEP = Type.Object(
  {
    part: word([...EXPLAINED_PARTS] as [string, ...string[]], { description: 'the part of routing' }),
    applies: Type.Boolean({ description: 'the rule decided something for this request' }),
    rule: Type.String({ description: 'the rule, for people' }),
    found: nullable(Type.String(), 'what was found; null if the rule looks for nothing'),
  },
  { title: 'ExplainStep', description: 'a rule of routing, and what it found' },
);

export const EXPLANATION = Type.Object(
  {
    pool: Type.String({ description: 'the pool that was asked' }),
    outcome: word([...EXPLAINED_OUTCOMES], {
      description:
        'forward: to the instance at once; queue: waits for a place there; wait: for what waitsFor says; refuse: gets the error; answer: by the gateway itself; other-pool: not for this pool',
    }),
    sentence: Type.String({ description: 'what would happen, for people' }),
    decision: nullable(
      word([...EXPLAINED_DECISIONS]),
      'how the gateway would come by the instance, as logs call it',
    ),
    instance: nullable(Type.String(), 'where the request would go; null if nowhere, or to one of oneOf'),
    incarnation: nullable(Type.String(), 'the run of the instance; null if it is not known'),
    oneOf: Type.Array(Type.String(), {
      description: 'the instances among which the balancer chooses only when the request comes',
    }),
    waitsFor: nullable(word([...EXPLAINED_WAITS]), 'what the request would wait for'),
    error: nullable(
      word(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
      'the error that the request would get, at once or after a wait without success',
    ),
    otherErrors: Type.Array(word(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]), {
      description: 'other errors that it would get if the balancer chose otherwise',
    }),
    names: Type.Array(NAME, { description: 'the names of the agent that count' }),
    epoch: count('the number of the view by which it was explained'),
    steps: Type.Array(STEP, { description: 'the rules of routing in the order in which they are looked at' }),
  },
  { title: 'Explanation', description: 'how a worker of this gateway would route the request now' },
);
