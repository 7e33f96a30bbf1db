import * as Type from 'typebox';
import { query, text, word } from './fields.ts';

export const INCIDENT_QUERY = query({
  last: Type.Optional(text(40, 'a duration such as 15m, of at most 24h: the period until now (15m)')),
  names: Type.Optional(
    word(['hashed', 'readable'], {
      description: 'hashed or readable: names of agents and operators are replaced unless readable (hashed)',
    }),
  ),
});

export const INCIDENT = {
  description: 'a tar archive, compressed with gzip; at most 32 MiB before that',
  content: { 'application/gzip': { schema: Type.String() } },
};
