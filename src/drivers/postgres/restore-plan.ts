/** What a restore will do, said before anything is touched: every database, the name it is made under, what becomes of the present one. */
import { randomBytes } from 'node:crypto';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { RestoreRequest } from '../driver.ts';
import { isSelecting, requireChosen } from './choose-entries.ts';
import type { Exchange } from './exchange.ts';
import { leftOutOf, wordsOf } from './left-out.ts';
import { leftoverWords, makingSuffix, replacedSuffix } from './leftovers.ts';
import { reasonsToKeep, refuseIfInUse, refuseIfPrepared } from './obstacles.ts';
import type { Source } from './place.ts';
import { missingRoles, planRoles, presentRoles, type RolePlan } from './roles.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import type { DatabaseFacts, SourceFacts } from './source-facts.ts';

/** One database and where it goes. */
export interface Item extends Exchange {
  readonly facts: DatabaseFacts;
  /** What of the database comes back, for people; absent if that is all of it. */
  readonly part?: string;
  /** Why the present database is not to be dropped, be it now or by a person later. */
  readonly reasons: readonly string[];
}

export interface Plan {
  readonly items: readonly Item[];
  readonly roles: RolePlan;
  readonly withOwners: boolean;
  readonly steps: readonly string[];
  readonly problems: readonly string[];
}

/** What a plan is made of. */
export interface Wanted {
  readonly facts: SourceFacts;
  readonly globals: readonly string[];
  /** Of the databases at the target, in the order of the facts. */
  readonly names: readonly string[];
  readonly request: RestoreRequest;
  /** Of the source of the snapshot, if it is known here. */
  readonly settings: Settings | undefined;
  /** Of the target's server. */
  readonly major: number;
  readonly text: string;
}

export const longestName = 63;

/** `restore.target-exists`, `source.busy`: before anything is touched. */
export async function makePlan(server: Source, session: Session, wanted: Wanted): Promise<Plan> {
  const { facts, globals, names, request, settings, major, text } = wanted;
  const there = await session.query('SELECT datname FROM pg_catalog.pg_database');
  const present = there.map(([name]) => name ?? '');
  const freeName = namer([...names, ...present]);
  const concerned = isSelecting(request) ? requireChosen(facts.databases, request) : new Set(facts.databases);
  const items: Item[] = [];
  for (const [i, one] of facts.databases.entries()) {
    if (!concerned.has(one)) continue;
    const part = partOf(one, request, settings);
    items.push(await itemOf(server, session, { facts: one, name: names[i], request, part, freeName }));
  }
  const known = await presentRoles(session);
  const missing = missingRoles(facts, known);
  const roles = planRoles(globals, facts.globals ? missing : [], known);
  const withOwners = missing.length === 0 || facts.globals;
  const problems = [
    ...items.flatMap(({ reasons }) => reasons),
    ...items
      .filter(({ facts: { tablespaces } }) => tablespaces.length > 0)
      .map(
        ({ name, facts: { tablespaces } }) =>
          `what ${name} kept in the tablespace(s) ${tablespaces.join(', ')} goes to the default one`,
      ),
    ...(withOwners
      ? []
      : [
          `owners and privileges are not restored, because the server lacks the role(s) ${missing.join(', ')} and the snapshot holds no roles`,
        ]),
    ...roles.problems,
    ...(roles.roles.length > 0 && !facts.passwords
      ? [`the new role(s) ${roles.roles.join(', ')} have no password yet`]
      : []),
    ...(major < facts.server.major
      ? [
          `the dump is of PostgreSQL ${facts.server.version}, the server of the older ${text}: what it does not know ends the restore`,
        ]
      : []),
    ...present.flatMap((name) => leftoverWords(name) ?? []),
  ];
  const untouched = facts.databases
    .filter((one) => !concerned.has(one))
    .map(({ name }) => `restore nothing of the database ${name}, which holds none of these tables`);
  return { items, roles, withOwners, problems, steps: [...stepsOf(session, items, roles), ...untouched] };
}

function stepsOf(session: Session, items: readonly Item[], { roles, joining }: RolePlan): string[] {
  const place = session.place.title;
  return [
    ...(roles.length > 0 ? [`create the role(s) ${roles.join(', ')} at ${place}`, ...joining] : []),
    ...items.flatMap(({ name, aside, dropsAside, part }) => [
      `restore ${part === undefined ? '' : `a part (${part}) of `}the database ${name} at ${place} beside what is there`,
      ...(aside !== undefined && !dropsAside ? [`keep the present database ${name} aside as ${aside}`] : []),
      `give it its name ${name}${part !== undefined && aside !== undefined ? `: all that is not in this part is then in ${aside} only` : ''}`,
      ...(aside !== undefined && dropsAside ? [`drop what was the database ${name}`] : []),
    ]),
  ];
}

type FreeName = (name: string, suffix: string) => string;

interface ItemParts {
  readonly facts: DatabaseFacts;
  readonly name: string;
  readonly request: RestoreRequest;
  readonly part: string | undefined;
  readonly freeName: FreeName;
}

async function itemOf(server: Source, session: Session, parts: ItemParts): Promise<Item> {
  const { facts, name, request, part, freeName } = parts;
  const hex = randomBytes(4).toString('hex');
  const making = freeName(name, `${makingSuffix}${hex}`);
  const item = { facts, name, making, reasons: [], ...(part !== undefined && { part }) };
  const count = await session.value('SELECT count(*) FROM pg_catalog.pg_database WHERE datname = $1', [name]);
  if (count === '0') return { ...item, endsSessions: false, dropsAside: false };
  await refuseIfPrepared(session, name);
  const stamp = formatInstant(server.clock.nowMs()).replace(/\D/g, '').slice(0, 14);
  const before = freeName(name, `_before_${stamp}`);
  if (request.overwrite && part !== undefined) throw onlyPart(name, part);
  const reasons = await reasonsToKeep(session, name, name, before);
  if (!request.overwrite) {
    await refuseIfInUse(session, name);
    return { ...item, aside: before, endsSessions: false, dropsAside: false, reasons };
  }
  if (reasons.length > 0) return { ...item, aside: before, endsSessions: true, dropsAside: false, reasons };
  return { ...item, aside: freeName(name, `${replacedSuffix}${hex}`), endsSessions: true, dropsAside: true };
}

function partOf(facts: DatabaseFacts, request: RestoreRequest, settings: Settings | undefined): string | undefined {
  const { breadth, relations } = facts;
  const { include = [], exclude = [] } = request;
  if (include.length > 0) return include.join(', ');
  const lacking = [...exclude, ...leftOutOf(facts, settings).map(wordsOf)];
  if (lacking.length > 0 && (breadth === 'all' || exclude.length > 0)) return `all but ${lacking.join(', ')}`;
  if (breadth === 'all') return undefined;
  const names = relations.map(({ schema, name }) => (breadth === 'schemas' ? schema : `${schema}.${name}`));
  const [first, ...others] = [...new Set(names)];
  const more = others.length > 2 ? ` and ${others.length - 2} more` : '';
  return `${breadth} ${[first, ...others.slice(0, 2)].join(', ')}${more}`;
}

function onlyPart(name: string, part: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `the database ${name} is there, and only a part of one would replace it (${part}): all the rest would be dropped`,
    remedy:
      'Restore to another name (--to …) and copy what you need from there, or take the dump out of the snapshot and use pg_restore; without --overwrite the present database is kept aside.',
  });
}

/** Gives names that no database has and none will get from this restore. */
function namer(taken: readonly string[]): FreeName {
  const names = new Set(taken);
  return (name, suffix) => {
    let free = shortened(name, suffix);
    for (let count = 2; names.has(free); count++) free = shortened(name, `${suffix}_${count}`);
    names.add(free);
    return free;
  };
}

/** Cut at a whole character so that suffix and all it has at most 63 bytes. */
function shortened(name: string, suffix: string): string {
  let kept = name;
  while (Buffer.byteLength(kept + suffix) > longestName) kept = [...kept].slice(0, -1).join('');
  return kept + suffix;
}
