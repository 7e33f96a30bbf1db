import type { IncomingMessage } from 'node:http';
import type { ErrorCode, GatewayError } from '../core/errors.ts';
import type { ExplainableBindings } from '../core/explainable-bindings.ts';
import type { InstanceId } from '../core/instance.ts';
import type { UnnamedReason } from '../core/seen-names.ts';
import type { Target } from '../core/target.ts';
import type { SoapVersion } from '../soap/media-type.ts';
import type { ScanResult } from '../soap/scan-result.ts';
import type { Pool } from './pool.ts';
import type { RequestBody } from './request-body.ts';
import type {
  AdmittedRequest,
  IdentifiedRequest,
  IgnoredValue,
  RequestContext,
  RouteDecision,
  RoutedRequest,
} from './request-context.ts';
import type { Wait } from './target-finder.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** The options about names that an explanation mentions. */
export interface ExplainedNaming {
  /** The header that names users; `undefined` if it is not read. */
  readonly userHeader: string | undefined;
  readonly sessionCookie: string | undefined;
  readonly readsBodies: boolean;
  readonly hasLogon: boolean;
}

/** What was found out about one request. */
export interface Found {
  readonly request: ExplainedRequest;
  readonly bindings: ExplainableBindings;
  readonly target: Target | Wait | GatewayError;
  /** Where the request could go instead, or also, because the balancer's choice cannot be told before. */
  readonly oneOf: readonly InstanceId[];
  /** The errors that the request would get with other choices of the balancer. */
  readonly otherErrors: readonly ErrorCode[];
}

type Raw = Pick<IncomingMessage, 'headers' | 'rawHeaders' | 'method' | 'url'>;

/** A request that is only explained: what {@link RequestContext} is for one that is served. */
export class ExplainedRequest implements AdmittedRequest, IdentifiedRequest, RoutedRequest {
  readonly raw: IncomingMessage;
  readonly request: { readonly id: string; readonly originalUrl: string };
  readonly connection: { readonly peer: string; readonly isTrusted: boolean };
  readonly client: string | undefined;
  readonly isHttp: boolean;
  readonly tooManyHeaders: boolean;
  path = '/';
  host: string | undefined;
  pool: Pool | undefined;
  isLast = false;
  isStatePoll = false;
  maxForwards: number | undefined;
  body: RequestBody | undefined;
  soapVersionOfBody: SoapVersion | undefined;
  user: string | undefined;
  session: string | undefined;
  address: string | undefined;
  userIsFound = false;
  sessionIsFound = false;
  userIsInBody = false;
  sessionIsInBody = false;
  isIdentified = false;
  unnamedBecause: UnnamedReason | undefined;
  found: ScanResult | undefined;
  operation: string | undefined;
  isLogon: boolean | undefined;
  ignored: IgnoredValue[] = [];
  passedOver: RequestContext['passedOver'];
  decision: RouteDecision = 'refused';
  sessionLost = false;
  epoch = 0;

  /**
   * @param from the address of the client; `''` if it is not known
   * @param headers the most header fields
   */
  constructor(
    raw: Raw & Partial<IncomingMessage>,
    from: string,
    trusted: TrustedProxies,
    { isHttp = true, headers = Number.POSITIVE_INFINITY } = {},
  ) {
    this.raw = raw as IncomingMessage;
    this.request = { id: 'explain', originalUrl: raw.url ?? '/' };
    this.connection = { peer: from, isTrusted: from !== '' && trusted.includes(from) };
    const forwardedFor = this.connection.isTrusted ? raw.headers['x-forwarded-for'] : undefined;
    this.client = forwardedFor === undefined ? from : trusted.clientBehind(from, forwardedFor as string);
    this.isHttp = isHttp;
    this.tooManyHeaders = raw.rawHeaders.length / 2 > headers;
  }

  /** The same request, so that the router can decide about it once more. */
  copy(): ExplainedRequest {
    const copy = Object.assign(Object.create(ExplainedRequest.prototype) as ExplainedRequest, this);
    copy.ignored = [...this.ignored];
    return copy;
  }

  ignore(source: IgnoredValue['source'], reason: string): void {
    this.ignored.push({ source, reason });
  }
}

/** A request without a body that has these header fields, as Node would deliver it. */
export function bareRequest(fields: readonly (readonly [name: string, value: string])[]): Raw & {
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
} {
  const headers: Record<string, string> = {};
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : `${before}${key === 'cookie' ? '; ' : ', '}${value}`;
  }
  return {
    method: 'POST',
    url: '/',
    headers,
    rawHeaders: fields.flat(),
    httpVersionMajor: 1,
    httpVersionMinor: 1,
  };
}
