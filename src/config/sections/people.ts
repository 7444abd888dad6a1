/** `workspaces:` and `users:`: who there is and what they may do. */
import { z } from 'zod';
import { defaultWorkspace, type Role, roles } from '../../model/principal.ts';
import type { UserEntry, WorkspaceEntry } from '../platform-config.ts';
import type { Reading } from '../reading.ts';
import { name } from '../schemas/fields.ts';
import { readSection } from './section.ts';

const everywhere = '*';

export const role = z.enum(roles).describe('viewer, restorer, operator, admin or owner');

/** By workspace; `*` is everywhere. */
export const rolesByWorkspace = z
  .record(name, role)
  .describe('a role by workspace, like { shop: operator }')
  .transform((given): ReadonlyMap<string, Role> => new Map(Object.entries(given)));

/** A role everywhere, or some by workspace. */
export const rolesAnywhere = z.union([
  role.transform((one): ReadonlyMap<string, Role> => new Map([[everywhere, one]])),
  rolesByWorkspace,
]);

export const workspaceSection = z.strictObject({ title: name.optional().describe('as people call it') });

export const userSection = z
  .strictObject({
    email: z.email('an address like anna@example.org').optional().describe('an address like anna@example.org'),
    role: role.optional(),
    roles: rolesByWorkspace.optional(),
  })
  .refine((user) => user.role !== undefined || (user.roles?.size ?? 0) > 0, {
    error: 'has no role: write «role: viewer» or «roles: { WORKSPACE: viewer }»',
  });

export function readWorkspaces(reading: Reading): Map<string, WorkspaceEntry> {
  const found = readSection(reading, 'workspaces', (name, value, path): WorkspaceEntry | undefined => {
    const entry = reading.check(workspaceSection, value, path);
    return entry && { name, title: entry.title ?? name };
  });
  if (!found.has(defaultWorkspace)) found.set(defaultWorkspace, { name: defaultWorkspace, title: 'Default' });
  return found;
}

export function readUsers(reading: Reading): Map<string, UserEntry> {
  return readSection(reading, 'users', (name, value, path): UserEntry | undefined => {
    const entry = reading.check(userSection, value, path);
    if (!entry) return undefined;
    const held = new Map(entry.roles);
    if (entry.role !== undefined) held.set(everywhere, entry.role);
    return { name, email: entry.email, roles: held };
  });
}
