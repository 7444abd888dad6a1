/** Which roles the groups of a person give. */
import { isAtLeast, type Role } from '../../model/principal.ts';

export interface GroupRules {
  /** Everywhere, for who is in none of the groups; absent: they are not let in. */
  readonly defaultRole?: Role;
  /** By group: the role by workspace; `*` is everywhere. */
  readonly roles: ReadonlyMap<string, ReadonlyMap<string, Role>>;
}

/** By workspace the largest that one of the groups gives. */
export function rolesOfGroups(
  groups: readonly string[],
  { defaultRole, roles }: GroupRules,
): ReadonlyMap<string, Role> {
  const found = new Map<string, Role>();
  for (const group of groups) {
    for (const [workspace, role] of roles.get(group) ?? []) {
      const before = found.get(workspace);
      if (before === undefined || isAtLeast(role, before)) found.set(workspace, role);
    }
  }
  if (found.size === 0 && defaultRole !== undefined) found.set('*', defaultRole);
  return found;
}

/** What a claim lists: a list of texts, or one text. Anything else is no group. */
export function groupsOf(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return [claim];
  return Array.isArray(claim) ? claim.filter((one) => typeof one === 'string') : [];
}
