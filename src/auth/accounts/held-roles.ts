/** Which role counts where several gave one. */
import { isAtLeast, type Role, roleIn, roles } from '../../model/principal.ts';

export const membershipOrigins = ['file', 'ui', 'oidc'] as const;
export type MembershipOrigin = (typeof membershipOrigins)[number];

export interface HeldRole {
  readonly workspace: string;
  readonly role: Role;
  readonly origin: MembershipOrigin;
}

/** By workspace: what the file says counts alone; without it the larger of what others gave. */
export function effectiveRoles(held: Iterable<HeldRole>): ReadonlyMap<string, Role> {
  const found = new Map<string, HeldRole>();
  for (const one of held) {
    const before = found.get(one.workspace);
    const wins =
      before === undefined || one.origin === 'file' || (before.origin !== 'file' && isAtLeast(one.role, before.role));
    if (wins) found.set(one.workspace, one);
  }
  return new Map([...found].map(([workspace, { role }]) => [workspace, role]));
}

/** Rows of a left join: `null` where an account has no role at all. A role this version does not know gives nothing. */
export function heldRolesOf(
  rows: Iterable<{ workspace: string | null; role: string | null; origin: string | null }>,
): HeldRole[] {
  const held: HeldRole[] = [];
  for (const { workspace, role, origin } of rows) {
    const known = roles.find((one) => one === role);
    const from = membershipOrigins.find((one) => one === origin);
    if (workspace !== null && known !== undefined && from !== undefined)
      held.push({ workspace, role: known, origin: from });
  }
  return held;
}

/** What of these roles is left under a ceiling: in one workspace, or wherever there is one if `workspace` is `*`. */
export function cappedRoles(
  owned: ReadonlyMap<string, Role>,
  ceiling: Role,
  workspace: string,
): ReadonlyMap<string, Role> {
  const least = (role: Role): Role => (isAtLeast(role, ceiling) ? ceiling : role);
  if (workspace === '*') return new Map([...owned].map(([where, role]) => [where, least(role)]));
  const there = roleIn({ kind: 'token', name: '', roles: owned }, workspace);
  return there === undefined ? new Map() : new Map([[workspace, least(there)]]);
}
