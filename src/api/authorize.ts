/** The one place where it is decided whether a caller may do what a route does, to the things it concerns. */
import { HoldfastError } from '../base/errors.ts';
import { isAtLeast, type Principal, type Role, roleIn } from '../model/principal.ts';
import type { Config } from '../operations/configuration/configuration.ts';
import type { Access, Subject } from './route.ts';

/** A subject in which snapshots have become what they belong to. */
export interface FoundSubject extends Pick<Subject, 'everything' | 'sources' | 'repositories' | 'policies'> {}

/** True for who is held back by nothing: a role everywhere, and no list of sources. */
export function isEverywhere(principal: Principal, needed: Role): boolean {
  return principal.sources === undefined && isAtLeast(roleIn(principal), needed);
}

/** Before anything of the request is looked at. `auth.forbidden`. */
export function requireSomewhere(principal: Principal, access: Access): void {
  if (access === 'anyone' || access === 'signed-in') return;
  if ([...principal.roles.values()].some((role) => isAtLeast(role, access))) return;
  throw forbidden(principal, `needs the role ${access}`);
}

/** `auth.forbidden`; the same for what is not there, to who could not see it if it were. `config.unknown-name`. */
export function requireSubject(principal: Principal, needed: Role, subject: FoundSubject, config: Config): void {
  const unhindered = isEverywhere(principal, needed);
  if (subject.everything && !unhindered) throw forbidden(principal, `needs the role ${needed} in every workspace`);
  const named = [
    ...(subject.sources ?? []).map((name) => placeOf('source', name, config.sources)),
    ...(subject.repositories ?? []).map((name) => placeOf('repository', name, config.repositories)),
    ...(subject.policies ?? []).map((name) => placeOf('policy', name, config.policies)),
  ];
  for (const one of named) {
    if (unhindered && one.noun === 'repository') requireDeclared(one, config);
    else if (unhindered) continue;
    else if (!maySee(principal, needed, one)) {
      throw forbidden(principal, `may not do this to the ${one.noun} «${one.name}»: it needs the role ${needed}`);
    }
  }
}

interface Named {
  readonly noun: 'source' | 'repository' | 'policy';
  readonly name: string;
  /** Absent: not declared. */
  readonly workspace?: string;
}

function placeOf(
  noun: Named['noun'],
  name: string,
  entries: ReadonlyMap<string, { readonly workspace: string }>,
): Named {
  const entry = entries.get(name);
  return { noun, name, ...(entry ? { workspace: entry.workspace } : {}) };
}

function maySee(principal: Principal, needed: Role, { noun, name, workspace }: Named): boolean {
  if (workspace === undefined || !isAtLeast(roleIn(principal, workspace), needed)) return false;
  return principal.sources === undefined || (noun === 'source' && principal.sources.has(name));
}

/** An address is no name here: opening it would send this server's secrets to a place the caller chose. */
function requireDeclared({ noun, name, workspace }: Named, config: Config): void {
  if (workspace !== undefined) return;
  throw new HoldfastError({
    code: 'config.unknown-name',
    message: `there is no ${noun} «${name}» in ${config.file}`,
    remedy: 'Name one that is declared: GET /api/repositories lists them.',
  });
}

/** A place where something is said to be: that it is declared is enough, what is read from it is judged by itself. */
export function requireDeclaredPlace(principal: Principal, repository: string, config: Config): void {
  const place = placeOf('repository', repository, config.repositories);
  if (place.workspace === undefined && !isEverywhere(principal, 'viewer')) {
    throw forbidden(principal, `may not use the repository «${repository}»`);
  }
  requireDeclared(place, config);
}

/** What a caller may see of a list. What is not declared any more is seen only by who sees everything. */
export interface View {
  readonly everything: boolean;
  /** The same as lists of names, for queries; absent for who sees everything. `general`: also what is about no source and no repository. */
  readonly visible?: { readonly sources: string[]; readonly repositories: string[]; readonly general: boolean };
  source(name: string | undefined): boolean;
  repository(name: string | undefined): boolean;
  policy(name: string | undefined): boolean;
}

export function viewOf(principal: Principal, needed: Role, config: Config): View {
  const everything = isEverywhere(principal, needed);
  const sees = (
    noun: Named['noun'],
    name: string | undefined,
    entries: ReadonlyMap<string, { readonly workspace: string }>,
  ) => everything || (name !== undefined && maySee(principal, needed, placeOf(noun, name, entries)));
  const stores = new Set(
    [...config.sources.values()]
      .filter((source) => principal.sources?.has(source.name))
      .flatMap((source) => source.placements.map((placement) => placement.repository)),
  );
  const visible = () => ({
    sources: [...config.sources.keys()].filter((name) => sees('source', name, config.sources)),
    repositories: [...config.repositories.keys()].filter((name) => sees('repository', name, config.repositories)),
    general: false,
  });
  return {
    everything,
    ...(everything ? {} : { visible: visible() }),
    source: (name) => sees('source', name, config.sources),
    // Who is held to some sources sees the names of where they are stored.
    repository: (name) => sees('repository', name, config.repositories) || (name !== undefined && stores.has(name)),
    policy: (name) => sees('policy', name, config.policies),
  };
}

function forbidden({ name }: Principal, what: string): HoldfastError {
  return new HoldfastError({
    code: 'auth.forbidden',
    message: `${name} ${what.startsWith('may') ? what : `may not do this: it ${what}`}`,
    remedy: 'Ask an admin for the role, or use a token that has it.',
  });
}
