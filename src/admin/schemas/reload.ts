import * as Type from 'typebox';
import { count } from './fields.ts';

const MOVE = Type.Object(
  {
    pool: Type.String(),
    instance: Type.String(),
    agents: count('agents that are bound to the instance'),
    movesAll: Type.Boolean({
      description: 'all agents of a failover pool move, whether or not they are counted',
    }),
    why: Type.String(),
  },
  { title: 'Move', description: 'agents who would move' },
);

export const RELOAD_PREVIEW = Type.Object(
  {
    text: Type.String({ description: 'whether a reload would bring the configuration into effect' }),
    problems: Type.Array(Type.String(), { description: 'why the configuration is invalid, one line each' }),
    changes: Type.Array(Type.String(), { description: 'one line for each option that changes' }),
    refused: Type.Array(Type.String(), {
      description: 'why a reload would be refused although the configuration is valid',
    }),
    agents: count('bound agents that would move'),
    moves: Type.Array(MOVE),
  },
  { title: 'ReloadPreview', description: 'what a reload of this gateway would do now' },
);
