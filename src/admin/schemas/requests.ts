import * as Type from 'typebox';
import type { ErrorCode } from '../../core/errors.ts';
import { ERRORS } from '../../core/errors.ts';
import { ANY_CODE } from '../../core/recent-requests.ts';
import { count, INSTANCE, limit, nullable, query, text, time, timeOrNull, word } from './fields.ts';
import { NAME_SOURCES } from './seen-names.ts';

export const CODES = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

const RECENT_REQUEST = Type.Object(
  {
    at: time('when it ended'),
    requestId: Type.String({ description: 'as in the log and in the answer to the client' }),
    client: nullable(Type.String(), 'the address of the client, as far as trusted proxies name it'),
    pool: nullable(Type.String(), 'null if no pool serves it'),
    user: nullable(
      Type.String(),
      'as the log shows names; also that of its session, if the request itself names none',
    ),
    session: nullable(Type.String(), 'the digest of the session, as in /bindings'),
    identitySource: nullable(word(NAME_SOURCES), 'where the name that decides was found'),
    instance: nullable(Type.String(), 'where it was sent last'),
    decision: Type.String({ description: 'how it was routed, as in the log' }),
    operation: nullable(
      Type.String(),
      'the first element of the SOAP Body; null if the gateway had no need to look at it',
    ),
    act: nullable(
      word(['logon', 'logoff']),
      'whether its operation stands in identity.logon or identity.logoff; null also if the gateway had no need to know',
    ),
    status: Type.Integer({ description: 'the status of the answer; 499 if the client left before' }),
    code: nullable(word(CODES), 'the error of the gateway; null if the instance or the gateway answered'),
    attempts: count('tries at instances'),
    durationMs: Type.Number({ description: 'from its header to the last byte of the answer' }),
    instanceMs: nullable(Type.Number(), 'how long the instance took until the header of its answer'),
    waitedMs: Type.Number({ description: 'how long it waited for an instance or a place there' }),
  },
  {
    title: 'RecentRequest',
    description: 'a request that has ended, without its body',
  },
);

export const RECENT_REQUESTS = Type.Object(
  {
    requests: Type.Array(RECENT_REQUEST, { description: 'the newest first' }),
    last: Type.String({ description: 'to be sent as after, to get only what is newer' }),
    missed: count('requests since after that are not listed, because more came than are kept or listed'),
    since: timeOrNull('since when all requests are kept; null if no worker answered'),
    silent: Type.Array(Type.String(), {
      description: 'workers that did not answer in time: their requests are missing, and come later by after',
    }),
    hasEnded: Type.Boolean({
      description: 'a worker has ended since after: its last requests are in the log only',
    }),
  },
  {
    title: 'RecentRequests',
    description: 'the last requests of this gateway, as far as its workers keep them',
  },
);

export const REQUESTS_QUERY = query({
  pool: Type.Optional(text(64, 'the name of a pool')),
  user: Type.Optional(text(256, 'a user name, also where the log shows hashes')),
  session: Type.Optional(text(1_000, 'a session or its digest')),
  instance: Type.Optional(INSTANCE),
  code: Type.Optional(
    word([...CODES, ANY_CODE], { description: `an error code, or ${ANY_CODE} for all that got one` }),
  ),
  operation: Type.Optional(text(256, 'the local name of the first element in the SOAP Body')),
  after: Type.Optional(text(4_000, 'the value of last in an earlier answer')),
  limit: limit(1_000),
});
