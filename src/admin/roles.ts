import type { RequiredRole } from '../core/role.ts';

// Every route of the admin port says who may use it: `config: { role: 'viewer' }`.
declare module 'fastify' {
  interface FastifyContextConfig {
    readonly role: RequiredRole;
    /** Nothing is changed, whatever the method; so no log calls it an act. */
    readonly isQuestion?: boolean;
  }
}
