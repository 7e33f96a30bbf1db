import * as Type from 'typebox';
import { nullable } from './fields.ts';

const OPTION = Type.Object(
  {
    path: Type.String({ description: 'such as pools[0].health.path' }),
    value: Type.String({ description: 'as a configuration file holds it, with secrets masked' }),
    default: nullable(Type.String(), 'null for an option without one'),
    source: Type.String({
      description: 'default, the file with the line, an environment variable or a flag',
    }),
  },
  { title: 'ShownOption', description: 'one option of the configuration in effect' },
);

export const SHOWN_OPTIONS = Type.Object(
  { options: Type.Array(OPTION) },
  {
    title: 'ShownOptions',
    description: 'all options; empty while a supervisor of an earlier release runs',
  },
);
