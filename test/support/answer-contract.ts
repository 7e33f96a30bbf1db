import { Compile } from 'typebox/schema';
import type { OpenApiDocument, Operation } from '../../src/admin/openapi.ts';

/** A route as the document names it, such as `GET /pools/{pool}/events`. */
export type RouteName = string;

interface Described {
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}

/** What an OpenAPI document says of answers, strictly: an answer with a field that the document lacks is wrong too. */
export class AnswerContract {
  readonly #document: OpenApiDocument;
  readonly #components: object;

  constructor(document: OpenApiDocument) {
    this.#document = document;
    this.#components = closed(document.components);
  }

  get routes(): RouteName[] {
    return Object.entries(this.#document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
  }

  operation(route: RouteName): Operation {
    const [method = '', path = ''] = route.split(' ');
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    if (operation === undefined) throw new Error(`the document has no ${route}`);
    return operation;
  }

  /** What is wrong with the answer; empty if it is as described. */
  problems(route: RouteName, { status, type, text }: GivenAnswer): string[] {
    const { content } = (this.operation(route).responses[status] ?? {}) as Partial<Described>;
    if (content === undefined) return [`status ${status} is not described: ${text}`];
    if (text === '' && Object.keys(content).length === 0) return [];
    const [bare = ''] = type.split(';');
    const schema = content[bare]?.schema;
    if (schema === undefined) return [`status ${status} with ${bare} is not described: ${text}`];
    const value: unknown = bare === 'application/json' ? JSON.parse(text) : text;
    const [isValid, errors] = Compile({ components: this.#components, ...closed(schema) }).Errors(value);
    return isValid ? [] : errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
  }
}

export interface GivenAnswer {
  readonly status: number;
  /** The header `content-type`. */
  readonly type: string;
  readonly text: string;
}

/** The schema with objects that have no other properties, unless it says so itself. */
function closed(schema: object): object {
  return Object.fromEntries(
    Object.entries({ ...('properties' in schema ? { additionalProperties: false } : {}), ...schema }).map(
      ([key, value]) => [key, closedValue(value)],
    ),
  );
}

function closedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closedValue);
  return typeof value === 'object' && value !== null ? closed(value) : value;
}
