import type { IncomingMessage, ServerResponse } from 'node:http';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifySchema,
  FastifyTypeProvider,
  RawServerDefault,
} from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { RequiredRole } from '../core/role.ts';
import './roles.ts';

declare module 'fastify' {
  interface FastifySchema {
    /** What the route is for, as `deploy/docs/admin-api.md` says it. */
    summary?: string;
    tags?: readonly RouteTag[];
  }
}

/** The groups in which the documentation lists the routes. */
export type RouteTag = 'probes' | 'status' | 'pools' | 'agents' | 'gateway' | 'access';

/** Derives the types of a route's requests and answers from its schemas. */
interface SchemaTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  readonly serializer: this['schema'] extends TSchema ? Answer<Static<this['schema']>> : unknown;
}

/** Answers are built from values that cannot be changed. */
type Answer<T> = T extends readonly (infer Item)[]
  ? readonly Answer<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Answer<T[Key]> }
    : T;

/** A server whose routes have the types of their schemas. */
export type AdminRoutes = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  SchemaTypes
>;

/** A route as the documentation needs it. */
export interface DescribedRoute {
  readonly method: string;
  /** With parameters such as `:pool`. */
  readonly path: string;
  readonly role: RequiredRole;
  readonly schema: FastifySchema;
}

/**
 * Collects the routes that are added from now on. Throws if one does not say who may call it or what it answers, so
 * that such a gateway does not start.
 */
export function collectRoutes(server: FastifyInstance): readonly DescribedRoute[] {
  const routes: DescribedRoute[] = [];
  server.addHook('onRoute', ({ method, url, schema, config }) => {
    // Fastify derives it from GET.
    if (method === 'HEAD') return;
    if (config?.role === undefined || schema?.response === undefined)
      throw new Error(`${String(method)} ${url} needs a role and schemas of its answers`);
    routes.push({ method: String(method), path: url, role: config.role, schema });
  });
  return routes;
}
