/** Who asks for something, and what they may do. */

/** From least to most; whoever has a role may do what the ones before it may. */
export const roles = ['viewer', 'restorer', 'operator', 'admin', 'owner'] as const;
export type Role = (typeof roles)[number];

export interface Principal {
  readonly kind: 'user' | 'token' | 'local' | 'schedule' | 'agent';
  /** As the audit log names it. */
  readonly name: string;
  readonly userId?: string;
  /** Role by workspace; `*` is everywhere. */
  readonly roles: ReadonlyMap<string, Role>;
  /** Absent: every source of its workspaces. */
  readonly sources?: ReadonlySet<string>;
}

/** Where a source or repository belongs that names no workspace. */
export const defaultWorkspace = 'default';

export function isAtLeast(role: Role | undefined, needed: Role): boolean {
  return role !== undefined && roles.indexOf(role) >= roles.indexOf(needed);
}

/** The larger of what it has everywhere and what it has there. Without a workspace: what it has everywhere. */
export function roleIn(principal: Principal, workspace?: string): Role | undefined {
  const found = [principal.roles.get('*'), workspace === undefined ? undefined : principal.roles.get(workspace)];
  return found.reduce((most, one) => (isAtLeast(one, most ?? 'viewer') ? one : most), undefined);
}

/** A person at this machine's own command line may do everything: the files are theirs. */
export function localPrincipal(name: string): Principal {
  return { kind: 'local', name, roles: new Map([['*', 'owner']]) };
}
