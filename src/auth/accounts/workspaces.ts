/** Workspaces: what memberships name. The configuration declares them; `default` is always there. */
import { HoldfastError } from '../../base/errors.ts';
import type { Database } from '../../catalogue/open.ts';
import { storable } from '../../catalogue/transaction.ts';
import { defaultWorkspace } from '../../model/principal.ts';
import type { AuthUses } from '../auth-uses.ts';

export interface WorkspaceView {
  readonly name: string;
  readonly title: string;
}

/** By name, `default` among them. */
export async function listWorkspaces({ catalogue }: Pick<AuthUses, 'catalogue'>): Promise<WorkspaceView[]> {
  const rows = await catalogue.db.selectFrom('workspace').select(['name', 'title']).orderBy('name').execute();
  if (rows.some((one) => one.name === defaultWorkspace)) return rows;
  return [{ name: defaultWorkspace, title: 'Default' }, ...rows];
}

/** `object.unknown` unless it is `*`, `default`, or declared. */
export async function requireWorkspace(name: string, db: Database): Promise<void> {
  if (name === '*' || name === defaultWorkspace) return;
  const found = await db.selectFrom('workspace').select('name').where('name', '=', storable(name)).executeTakeFirst();
  if (found !== undefined) return;
  throw new HoldfastError({
    code: 'object.unknown',
    message: `there is no workspace «${name}»`,
    remedy: 'Declare it in the configuration (workspaces:), or write * for all of them.',
  });
}

/**
 * Makes the catalogue's list what the configuration says, within a transaction of the caller. Roles in a workspace that is
 * gone stay and say nothing: they count again when it comes back.
 */
export async function replaceWorkspaces(declared: Iterable<WorkspaceView>, nowMs: number, db: Database): Promise<void> {
  const wanted = new Map([...declared].map((one) => [one.name, one.title]));
  const known = await db.selectFrom('workspace').select(['name', 'title']).execute();
  for (const { name } of known.filter((one) => !wanted.has(one.name))) {
    await db.deleteFrom('workspace').where('name', '=', name).execute();
  }
  for (const [name, title] of wanted) {
    await db
      .insertInto('workspace')
      .values({ name, title, createdAtMs: nowMs })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ title }))
      .execute();
  }
}
