/** What the file would change, compared with what is in use, and what that comes to. Nothing is done. */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { type Config, emptyConfig, type Problem } from '../../config/index.ts';
import type { CatalogueAccess, Execution, SourceAccess } from '../operation.ts';
import { operation } from '../operation.ts';
import { counts, needRestart } from './describe-difference.ts';
import { comparable, parseInUse, readInUse } from './in-use.ts';
import { readMerged } from './merged.ts';
import { drawUp, type PlannedChange } from './plan/draw-up.ts';
import { situationOf } from './plan/situation.ts';

const input = z.object({
  /** A configuration to compare instead of the file of whoever is asked. */
  text: z.string().optional(),
});
export const plannedChange = z.object({
  section: z.string(),
  name: z.string(),
  change: z.enum(['added', 'removed', 'changed']),
  fields: z.array(z.object({ path: z.string(), before: z.string().optional(), after: z.string().optional() })),
  consequences: z.array(z.object({ level: z.enum(['note', 'warning', 'danger']), text: z.string() })),
});
const output = z.object({
  file: z.string(),
  /** Absent if none ever was: then everything is new. */
  inUse: z.object({ file: z.string(), since: z.string(), by: z.string() }).optional(),
  changes: z.array(plannedChange),
  counts: z.object({ added: z.number(), removed: z.number(), changed: z.number() }),
  /** Settings that count after a restart of the server. */
  restart: z.array(z.string()),
  warnings: z.number(),
  dangers: z.number(),
  /** Entries made over the API that cannot be used with this file. */
  leftOut: z.array(z.object({ from: z.string(), path: z.string(), message: z.string(), remedy: z.string() })),
});
export type PlanOutput = z.infer<typeof output>;

type Uses = SourceAccess & Execution & Partial<CatalogueAccess>;

/** `config.missing`, `config.invalid`: what has errors is not planned. */
export const plan = operation({
  name: 'plan',
  permission: 'admin',
  input,
  output,
  run: async ({ text }: z.infer<typeof input>, uses: Uses): Promise<PlanOutput> => {
    const { config } = await readMerged(uses.config.file, { known: uses, catalogue: uses.catalogue, text });
    return await planFor(config, uses);
  },
});

export async function planFor(config: Config, uses: Uses): Promise<PlanOutput> {
  const { catalogue } = uses;
  const remembered = catalogue && (await readInUse(catalogue));
  const before = remembered && parseInUse(remembered, uses);
  const after = comparable(config, uses) ?? config;
  const changes = drawUp(await situationOf(before ?? emptyConfig(config.file), after, catalogue));
  const levels = changes.flatMap((one) => one.consequences.map(({ level }) => level));
  return {
    file: config.file,
    ...(remembered && before
      ? { inUse: { file: remembered.file, since: formatInstant(remembered.sinceMs), by: remembered.by } }
      : {}),
    changes: changes.map(asPlain),
    counts: counts(changes),
    restart: before ? needRestart(changes) : [],
    warnings: levels.filter((level) => level === 'warning').length,
    dangers: levels.filter((level) => level === 'danger').length,
    leftOut: config.leftOut.map(leftOutView),
  };
}

export function leftOutView({ file, path, message, remedy }: Problem): PlanOutput['leftOut'][number] {
  return { from: file, path, message, remedy };
}

function asPlain({ section, name, change, fields, consequences }: PlannedChange): z.infer<typeof plannedChange> {
  return { section, name, change, fields: fields.map((one) => ({ ...one })), consequences: [...consequences] };
}
