import type { DescribedRoute } from './route.ts';
import { COMMON_REFUSALS, ROLE_REFUSALS } from './schemas/refusals.ts';

type Json = Readonly<Record<string, unknown>>;

/** A document of OpenAPI 3.1. Its schemas are JSON Schema, so those of the routes stand in it as they are. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Json; readonly securitySchemes: Json };
}

export interface Operation {
  readonly summary: string;
  readonly tags: readonly string[];
  /** The role that the caller needs. */
  readonly 'x-role': string;
  readonly security: readonly Json[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Json;
  readonly responses: Json;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly description: string;
  readonly schema: unknown;
}

/** A schema with this much known of it. */
interface Schema {
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Of an answer that is not JSON. */
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

const SECURITY_SCHEMES = { token: { type: 'http', scheme: 'bearer' } };
const DESCRIPTION =
  'Reads and changes the state of a gateway and of the pools that it shares with others. A change of a pool holds for all gateways of the store.';

export function openApiDocument(routes: readonly DescribedRoute[], version: string): OpenApiDocument {
  const components = new Components();
  const paths: Record<string, Record<string, Operation>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operationOf(route, components);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Admin API of ici-gateway', version, description: DESCRIPTION },
    paths,
    components: { schemas: components.schemas, securitySchemes: SECURITY_SCHEMES },
  };
}

function operationOf({ role, schema }: DescribedRoute, components: Components): Operation {
  const { summary = '', tags = [], params, querystring, body, response } = schema;
  const parameters = [
    ...parametersOf('path', params, components),
    ...parametersOf('query', querystring, components),
  ];
  const answers: object = {
    ...(response as object),
    ...(role === 'public' ? {} : ROLE_REFUSALS),
    ...COMMON_REFUSALS,
  };
  return {
    summary,
    tags,
    'x-role': role,
    security: role === 'public' ? [] : [{ token: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, ...contentOf(body, components) } }),
    responses: Object.fromEntries(
      Object.entries(answers as Readonly<Record<string, Schema>>).map(([status, answer]) => {
        const { description = '', ...rest } = answer;
        return [status, { description, ...contentOf(rest, components) }];
      }),
    ),
  };
}

function parametersOf(place: Parameter['in'], schema: unknown, components: Components): Parameter[] {
  const { properties = {}, required = [] } = (schema ?? {}) as Schema;
  return Object.entries(properties).map(([name, { description = '', ...rest }]) => ({
    name,
    in: place,
    required: required.includes(name),
    description,
    schema: components.lift(rest),
  }));
}

function contentOf(schema: unknown, components: Components): { readonly content: Json } {
  const { content = { 'application/json': { schema } } } = schema as Schema;
  return { content: components.lift(content) as Json };
}

/** The schemas with a title, each of which stands in the document once and is referred to elsewhere. */
class Components {
  readonly schemas: Record<string, unknown> = {};

  lift(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((one) => this.lift(one));
    if (typeof schema !== 'object' || schema === null) return schema;
    const { title, ...rest } = schema as Schema;
    const lifted = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, this.lift(value)]));
    // A property may be called title, too.
    if (typeof title !== 'string')
      return title === undefined ? lifted : { ...lifted, title: this.lift(title) };
    // The words around a use of the schema are not part of it.
    const { description, ...shape } = lifted;
    const known = this.schemas[title];
    if (known === undefined) this.schemas[title] = shape;
    else if (JSON.stringify(known) !== JSON.stringify(shape))
      throw new Error(`two schemas have the title ${title}`);
    return { ...(description === undefined ? {} : { description }), $ref: `#/components/schemas/${title}` };
  }
}
