import type { RequiredRole } from '../core/role.ts';

// Every route of the admin port says who may use it: `config: { role: 'viewer' }`.
declare module 'fastify' {
  interface FastifyContextConfig {
    readonly role: RequiredRole;
  }
}
