/** Puts what was loaded in the place of what is there: nothing is dropped before the restored one has its name. */
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { Catalogue } from './catalogue.ts';
import type { Load, Work } from './restore-plan.ts';

type Within = Pick<Work, 'member'>;

/** From here on what is there is touched: one collection after another. `undo` knows each state this can stop in. */
export async function changePlaces(work: Work): Promise<void> {
  for (const one of work.loads) {
    const { of, existing } = one;
    if (of.kind === 'view') {
      if (existing) await makeRoom(work, one, existing);
      await create(work, one);
    } else if (of.kind === 'collection' && existing) await replace(work, one, existing);
  }
  await letGo(work);
}

/** One command drops the old one and renames the new one, or does neither: with `overwrite` there is no moment without both. */
async function replace(work: Work, one: Load, existing: Catalogue[number]): Promise<void> {
  const isAtOnce = work.request.overwrite && existing.kind === 'collection';
  if (!isAtOnce) await makeRoom(work, one, existing);
  await rename(work, one.of.database, one.name, one.of.collection, isAtOnce);
}

/** Time series cannot be renamed; of a view its definition is all there is. */
export async function makeRoom(
  work: Work,
  one: Load,
  { database, name, kind, options }: Catalogue[number],
): Promise<void> {
  const { member, request } = work;
  const aside = asideOf(work, name);
  if (kind === 'collection') return await rename(work, database, name, aside);
  if (kind === 'view' && !request.overwrite) {
    await member.command(database, { create: aside, ...options }, `to keep ${database}.${name} aside`);
  }
  if (kind === 'timeseries') one.isLost = true;
  await drop(work, database, name);
}

export function asideOf({ stamp }: Pick<Work, 'stamp'>, name: string): string {
  return `${name}_before_${stamp}`;
}

/** Everything is in its place: what was kept aside only for the case that it would not come to that is dropped. */
async function letGo(work: Work): Promise<void> {
  const { loads, request, source } = work;
  for (const { of, existing } of loads) {
    if (existing === undefined) continue;
    const aside = asideOf(work, existing.name);
    if (!request.overwrite) {
      const message = `what was ${of.database}.${existing.name} is kept as ${of.database}.${aside}: drop it when it is not needed`;
      source.report({ type: 'note', message });
    } else if (existing.kind === 'collection' && of.kind !== 'collection') {
      await drop(work, of.database, aside).catch((error: unknown) => {
        const message = `what was ${of.database}.${existing.name} is left as ${of.database}.${aside}: ${String(error)}`;
        source.report({ type: 'warning', code: 'restore.failed', message });
      });
    }
  }
}

export async function create({ member, source }: Pick<Work, 'member' | 'source'>, one: Load): Promise<void> {
  throwIfCancelled(source.signal);
  const { database } = one.of;
  const { viewOn, pipeline, ...options } = one.definition.options;
  const view = one.of.kind === 'view' ? { viewOn, pipeline } : {};
  const doing = `to create ${database}.${one.name}`;
  one.made = 'perhaps';
  try {
    await member.command(database, { create: one.name, ...view, ...options, writeConcern: { w: 'majority' } }, doing);
  } catch (error) {
    if (isRefusal(error)) one.made = 'no';
    throw error;
  }
  one.made = 'yes';
}

/** An answer that says that nothing was done. A server that steps down may have done it before it answered. */
function isRefusal(error: unknown): boolean {
  return error instanceof HoldfastError && error.context.serverCode !== undefined && error.retry === 'never';
}

/** `dropTarget`: what has that name is dropped in the same step. */
export async function rename(
  { member }: Within,
  database: string,
  from: string,
  to: string,
  dropTarget = false,
): Promise<void> {
  const words = {
    renameCollection: `${database}.${from}`,
    to: `${database}.${to}`,
    ...(dropTarget && { dropTarget }),
    writeConcern: { w: 'majority' },
  };
  await member.command('admin', words, `to rename ${database}.${from} to ${to}`);
}

export async function drop({ member }: Within, database: string, name: string): Promise<void> {
  await member.command(database, { drop: name, writeConcern: { w: 'majority' } }, `to drop ${database}.${name}`);
}
