import * as Type from 'typebox';

const ERROR = Type.String({ description: 'what is wrong, and what to do' });

/** A refusal whose meaning is not the one in {@link REFUSALS}. */
export const refusal = (description: string) =>
  Type.Object({ error: ERROR }, { title: 'Refusal', description });

/** The meanings of the statuses of refusals, for the documentation too. */
export const REFUSALS = {
  400: 'a field is wrong; the answer names the field and what it must be',
  401: 'the token, the session or the password is missing or wrong',
  403: 'the role is not enough, the admin port is read-only, or a page of another site may have sent the request',
  404: 'no such pool, instance or binding',
  409: 'not possible now, with the reason',
  413: 'the body is larger than 8 KiB',
  415: 'the body is not JSON',
  421: 'the admin port is not known by the name in the Host header: see admin.hosts',
  429: 'too many lists are read or questions answered at once, or too many wrong passwords came from this address; Retry-After says how long to wait',
  500: 'the gateway failed; its log has the reason',
  503: 'the store is away, or does not answer in time',
} as const;

type Status = keyof typeof REFUSALS;
type Answers<S extends Status> = { readonly [Key in S]: ReturnType<typeof refusal> };

function answers<const S extends Status>(...statuses: readonly S[]): Answers<S> {
  return Object.fromEntries(statuses.map((status) => [status, refusal(REFUSALS[status])])) as Answers<S>;
}

/** What a route that reads the store may answer instead. */
export const READ_REFUSALS = answers(400, 404, 503);
/** What a route that lists agents may answer instead. */
export const LIST_REFUSALS = answers(400, 404, 429, 503);
/** What a route may answer instead to a question that needs a body. */
export const QUESTION_REFUSALS = {
  ...answers(400, 404, 409, 415, 429, 503),
  413: refusal('the question is too long'),
};
/** What a route that changes something may answer instead. */
export const CHANGE_REFUSALS = answers(400, 404, 409, 413, 415, 503);
/** What a route that changes a pool may answer instead. */
export const POOL_CHANGE_REFUSALS = {
  ...CHANGE_REFUSALS,
  409: Type.Object(
    {
      error: ERROR,
      view: Type.Optional(
        Type.String({ description: 'the id of the view that is agreed now, if it is not the one in ifView' }),
      ),
    },
    { title: 'PoolRefusal', description: `${REFUSALS[409]}; or the view is not the one in ifView` },
  ),
};
/** What the gateway may answer to every request. */
export const COMMON_REFUSALS = answers(421, 500);
/** What a log-in may be answered instead. */
export const LOG_IN_REFUSALS = answers(400, 401, 403, 413, 415, 429, 503);
/** The same for routes that are not public. */
export const ROLE_REFUSALS = answers(401, 403);

/** An answer in plain text. */
export function plain(description: string) {
  return { description, content: { 'text/plain': { schema: Type.String() } } };
}

/** An answer without a body. */
export function empty(description: string) {
  return { description, content: {} };
}

/** The answer to a wrong parameter of a route that otherwise refuses in plain text. */
export function plainOrJson(description: string) {
  const { content } = plain(description);
  return { description, content: { ...content, 'application/json': { schema: refusal(description) } } };
}
