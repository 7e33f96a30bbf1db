import AjvCompiler from '@fastify/ajv-compiler';
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';

type Check = ReturnType<ReturnType<AjvCompiler.BuildCompilerFromPool>>;

/** Makes the check of a schema, and makes it once for servers that have the same schema. */
let compile: ReturnType<AjvCompiler.BuildCompilerFromPool> | undefined;

/**
 * Checks requests by the schemas of their routes. A check is made for the first request that needs it: to make all of
 * them takes 60 ms of processor time, about half of what a gateway needs to start, and most are never needed.
 */
export const checkLater: FastifySchemaCompiler<object> = ({ schema }) => {
  let check: Check | undefined;
  const checked = Object.assign(
    (data: unknown): boolean => {
      // Misspelled fields are refused and not dropped, and null for true is refused and not taken for false.
      compile ??= AjvCompiler()({}, { customOptions: { removeAdditional: false, coerceTypes: false } });
      check ??= compile({ schema });
      const isValid = check(data) === true;
      // Fastify reads them from the function.
      checked.errors = (check.errors ?? null) as FastifySchemaValidationError[] | null;
      return isValid;
    },
    { errors: null as FastifySchemaValidationError[] | null },
  );
  return checked;
};
