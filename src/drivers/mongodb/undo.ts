/**
 * After a restore that failed: what was there gets its name back, what was loaded half way is dropped. What happened is
 * read from the server, not remembered: of a command whose answer was lost nobody knows whether it was done.
 */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { type Catalogue, readCatalogue } from './catalogue.ts';
import { openMember } from './connect.ts';
import { toText } from './exact.ts';
import { readAll } from './read.ts';
import type { Load, Work } from './restore-plan.ts';
import { asideOf, drop, rename } from './swap.ts';

/** While a set elects a primary, it is asked again after these times. */
const waitsMs = [1000, 2000, 4000, 8000];

/** Over a connection of its own, also where the restore was cancelled. Resolves with what is not as it was before, in words; never rejects. */
export async function undo(work: Work): Promise<string[]> {
  const { clock } = work.source;
  for (const waitMs of [...waitsMs, undefined]) {
    try {
      return await putBack(work);
    } catch (error) {
      const isPassing = error instanceof HoldfastError && error.retry !== 'never';
      if (!isPassing || waitMs === undefined) return whereTo(work, error);
      await clock.sleep(waitMs);
    }
  }
  return [];
}

/** The error with what became of the collections. */
export function withRemains(error: unknown, remains: readonly string[]): unknown {
  if (!(error instanceof HoldfastError)) return error;
  const { code, message, remedy, retry, context, cause } = error;
  const after = remains.length === 0 ? 'the collections are as they were before' : remains.join('; ');
  const first = remains.length === 0 ? '' : 'First put right what the message names. ';
  return new HoldfastError({ code, message: `${message}; ${after}`, remedy: first + remedy, retry, context, cause });
}

async function putBack(work: Work): Promise<string[]> {
  const source = { ...work.source, signal: new AbortController().signal };
  await using member = await openMember(source, 'primary');
  const now = await readCatalogue(member, { databases: 'all', exclude: [], excludeCollections: [] }, source.signal);
  const remains: string[] = [];
  for (const one of work.loads) {
    const left = await putOneBack({ ...work, source, member }, now, one);
    if (left !== undefined) remains.push(left);
  }
  return remains;
}

async function putOneBack(work: Work, now: Catalogue, one: Load): Promise<string | undefined> {
  const { of, existing, name } = one;
  const isBeside = name !== of.collection;
  const isLoaded = await isOurs(work, now, one);
  const inPlace = at(now, of.database, of.collection);
  if (existing === undefined) {
    if (isLoaded) await drop(work, of.database, name);
    return undefined;
  }
  // What has the name is of this restore if it was loaded under it, or is no longer where it was loaded.
  const isReplaced = isBeside ? one.made === 'yes' && !isLoaded : isLoaded;
  const left = await restoreExisting(work, now, { one, existing, inPlace: isReplaced ? inPlace : undefined });
  if (isBeside && isLoaded) await drop(work, of.database, name);
  return left;
}

/** Whether what has the name it was loaded under was made by this restore. Without an answer, only what is as it was to be made: others make some, too. */
async function isOurs(work: Work, now: Catalogue, { of, name, definition, made }: Load): Promise<boolean> {
  const found = at(now, of.database, name);
  if (found === undefined || made !== 'perhaps') return found !== undefined && made === 'yes';
  if (found.kind !== of.kind) return false;
  if (found.kind === 'view') return toText(found.options) === toText(definition.options);
  const { member, source } = work;
  const query = { database: of.database, command: { find: name, limit: 1 }, signal: source.signal };
  return (await readAll(member, { ...query, doing: `to look into ${of.database}.${name}` })).length === 0;
}

interface Existing {
  readonly one: Load;
  readonly existing: Catalogue[number];
  /** Made by this restore, under the name of the other. */
  readonly inPlace: Catalogue[number] | undefined;
}

async function restoreExisting(work: Work, now: Catalogue, given: Existing): Promise<string | undefined> {
  const { one, existing, inPlace } = given;
  if (existing.kind === 'view') return await restoreView(work, now, given);
  const ns = `${existing.database}.${existing.name}`;
  if (existing.kind === 'timeseries') {
    const isDropped = one.isLost && (one.made !== 'no' || at(now, existing.database, existing.name) === undefined);
    return isDropped ? `the time series ${ns} was dropped, and is not restored in full` : undefined;
  }
  const old = now.find((it) => it.database === existing.database && it.uuid === existing.uuid);
  if (old?.name === existing.name) return undefined;
  if (old === undefined) {
    return inPlace ? `${ns} is the restored one already` : `what was ${ns} is no longer there`;
  }
  const there = at(now, existing.database, existing.name);
  if (there !== undefined && inPlace === undefined) {
    return `what was ${ns} is kept as ${old.database}.${old.name}, as another ${ns} was made meanwhile`;
  }
  // Only a collection can be dropped by a rename.
  if (inPlace !== undefined && inPlace.kind !== 'collection') await drop(work, existing.database, existing.name);
  await rename(work, existing.database, old.name, existing.name, inPlace?.kind === 'collection');
  return undefined;
}

async function restoreView(work: Work, now: Catalogue, { existing, inPlace }: Existing): Promise<string | undefined> {
  const { database, name, options } = existing;
  const aside = asideOf(work, name);
  const there = at(now, database, name);
  const isUntouched = there?.kind === 'view' && toText(there.options) === toText(options);
  if (there !== undefined && !isUntouched && inPlace === undefined) {
    return `what was the view ${database}.${name} is kept as ${database}.${aside}, as another was made meanwhile`;
  }
  if (!isUntouched) {
    if (there !== undefined) await drop(work, database, name);
    const words = { create: name, ...options, writeConcern: { w: 'majority' } };
    await work.member.command(database, words, `to make the view ${database}.${name} again`);
  }
  if (at(now, database, aside) !== undefined) await drop(work, database, aside);
  return undefined;
}

function at(catalogue: Catalogue, database: string, name: string): Catalogue[number] | undefined {
  return catalogue.find((one) => one.database === database && one.name === name);
}

/** Nothing could be put back: where everything is then, as far as it is known. */
function whereTo(work: Work, error: unknown): string[] {
  const names = work.loads.flatMap((one) => {
    const { of, existing, name } = one;
    const is = one.made === 'yes' ? 'is' : 'may be';
    const restored = one.made === 'no' ? [] : [`${of.database}.${name} ${is} of the restore`];
    return existing === undefined ? restored : [...restored, placeOf(work, one, existing)];
  });
  return [`what the restore had done could not be undone (${messageOf(error)}): ${names.join(', ')}`];
}

function placeOf(work: Work, one: Load, { database, name, kind }: Catalogue[number]): string {
  const ns = `${database}.${name}`;
  if (kind === 'timeseries') return one.isLost ? `the time series ${ns} was dropped` : `${ns} is as it was`;
  return `what was ${ns} has that name or is ${database}.${asideOf(work, name)}`;
}
