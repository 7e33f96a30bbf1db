/** What a user or a token may do at the admin port; each role includes those before it. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;

export type Role = (typeof ROLES)[number];

/** The role that a route requires; `public` routes answer without a log-in. */
export type RequiredRole = Role | 'public';

export function isRole(text: string): text is Role {
  return ROLES.some((role) => role === text);
}

export function mayUse(required: RequiredRole, role: Role | undefined): boolean {
  if (required === 'public') return true;
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(required);
}
