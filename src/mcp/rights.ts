/** What the caller may do, and see: the same rules as everywhere, judged by their role and the sources they are held to. */
import { HoldfastError } from '../base/errors.ts';
import { isAtLeast, type Principal, type Role, roleIn } from '../model/principal.ts';
import { visibleTo } from '../operations/runs/visible.ts';
import { sourceEntry } from '../operations/sources/source-access.ts';
import type { McpUses } from './parts.ts';

/** True if there is anything the caller may do with the role. */
export function mayAnywhere(principal: Principal, needed: Role): boolean {
  return [...principal.roles.values()].some((role) => isAtLeast(role, needed));
}

/** True for who is held back by nothing. */
export function mayEverywhere(principal: Principal, needed: Role): boolean {
  return principal.sources === undefined && isAtLeast(roleIn(principal), needed);
}

/** `auth.forbidden`, the same for one that is not there to who could not see it; `config.unknown-name`. */
export function requireSource(name: string, needed: Role, { config, principal }: McpUses): void {
  const entry = config.sources.get(name);
  const isHeld = principal.sources !== undefined && !principal.sources.has(name);
  if (!isHeld && isAtLeast(roleIn(principal, entry?.workspace), needed)) {
    sourceEntry(config, name);
    return;
  }
  throw forbidden(principal, `may not do this to the source «${name}»: it needs the role ${needed} there`);
}

/**
 * Whoever may write to any path of the server, or reach any database with its passwords, has more than a role in one
 * workspace: who has only that restores to a declared source of it. `auth.forbidden`.
 */
export function requireTarget(to: string, needed: Role, uses: McpUses): void {
  if (mayEverywhere(uses.principal, needed)) return;
  if (!uses.config.sources.has(to)) {
    const why = `may not restore to a place of its own choice: that needs the role ${needed} in every workspace`;
    throw forbidden(uses.principal, why);
  }
  requireSource(to, needed, uses);
}

/** An address is no name: opening it would use this machine's secrets for a place the caller chose. `config.unknown-name`. */
export function requireRepository(name: string | undefined, uses: McpUses): void {
  if (name === undefined || (uses.config.repositories.has(name) && seenBy(uses).repository(name))) return;
  throw new HoldfastError({
    code: 'config.unknown-name',
    message: `there is no repository «${name}» that is declared and that you may see`,
    remedy: 'Name one that list_sources shows.',
  });
}

/** `auth.forbidden`. */
export function requireEverything(needed: Role, { principal }: McpUses): void {
  if (!mayEverywhere(principal, needed)) {
    throw forbidden(
      principal,
      `may not see everything: name a source; without one it needs the role ${needed} everywhere`,
    );
  }
}

/** Says of each source and repository whether the caller may see it. */
export function seenBy({ principal, config }: McpUses, needed: Role = 'viewer') {
  const visible = visibleTo(principal, needed, { config });
  const [sources, repositories] = [new Set(visible?.sources), new Set(visible?.repositories)];
  const stores = new Set(
    [...sources].flatMap((name) => config.sources.get(name)?.placements.map(({ repository }) => repository) ?? []),
  );
  return {
    source: (name: string | undefined) => visible === undefined || (name !== undefined && sources.has(name)),
    repository: (name: string) => visible === undefined || repositories.has(name) || stores.has(name),
  };
}

export function forbidden({ name }: Principal, what: string): HoldfastError {
  return new HoldfastError({
    code: 'auth.forbidden',
    message: `${name} ${what}`,
    remedy: 'Ask an admin for the role, or use a token that has it.',
  });
}
