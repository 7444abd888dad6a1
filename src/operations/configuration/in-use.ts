/** Which configuration is in use, as the catalogue remembers it: what `plan` compares with, and how `apply` knows that a server took a file up. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type Config, configWithoutSecrets, type Known, parseConfig } from '../../config/index.ts';

const section = 'applied';
const inUse = z.object({
  /** The configuration file, as an absolute path. */
  file: z.string(),
  /** SHA-256 of the file as it was read. */
  digest: z.string(),
  /** The whole configuration, without secrets; empty if it cannot be proven that there are none in it. */
  text: z.string(),
  /** How many entries were not from the file; -1 if that was not written down. */
  others: z.number().default(-1),
});
const refusedState = z.object({ digest: z.string(), problems: z.array(z.string()) });

export interface InUse extends z.infer<typeof inUse> {
  readonly sinceMs: number;
  /** `server`, or who applied it. */
  readonly by: string;
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Its text as it may be stored, with secrets as references only. */
export async function recordInUse(
  catalogue: Catalogue,
  config: Config,
  { known, digest, by }: { readonly known: Known; readonly digest: string; readonly by: string },
): Promise<void> {
  await write(catalogue, 'in-use', by, {
    file: config.file,
    digest,
    text: storable(config, known) ?? '',
    others: config.origins.size,
  });
}

/** `undefined` if none ever was. */
export async function readInUse(catalogue: Catalogue): Promise<InUse | undefined> {
  const row = await read(catalogue, 'in-use');
  return row && { ...inUse.parse(JSON.parse(row.value)), sinceMs: row.changedAtMs, by: row.changedBy };
}

/** What a server says of a file it does not take. */
export async function recordRefused(
  catalogue: Catalogue,
  refused: { readonly digest: string; readonly problems: readonly string[] },
): Promise<void> {
  await write(catalogue, 'refused', 'server', refused);
}

export async function readRefused(catalogue: Catalogue): Promise<z.infer<typeof refusedState> | undefined> {
  const row = await read(catalogue, 'refused');
  return row && refusedState.parse(JSON.parse(row.value));
}

function storable(config: Config, known: Known): string | undefined {
  try {
    return configWithoutSecrets(config, withoutOpeners(known)).text;
  } catch (error) {
    if (hasCode(error, 'config.invalid')) return undefined;
    throw error;
  }
}

/** The configuration as it would be remembered: comparing two of these finds no differences in secrets. */
export function comparable(config: Config, known: Known): Config | undefined {
  const text = storable(config, known);
  return text === undefined ? undefined : parseConfig(config.file, Buffer.from(text), withoutOpeners(known));
}

/** As it means what it meant; `undefined` where this version cannot read it any more. */
export function parseInUse({ file, text }: InUse, known: Known): Config | undefined {
  try {
    return parseConfig(file, Buffer.from(text), withoutOpeners(known));
  } catch {
    return undefined;
  }
}

/** Comparing reads no secrets, and names of stored ones need not be there any more. */
export function withoutOpeners({ drivers, storageKinds, hostKinds, channelKinds }: Known): Known {
  return { drivers, storageKinds, hostKinds, channelKinds };
}

async function read({ db }: Catalogue, name: string) {
  return await db
    .selectFrom('configObject')
    .selectAll()
    .where('section', '=', section)
    .where('name', '=', name)
    .executeTakeFirst();
}

async function write(catalogue: Catalogue, name: string, by: string, state: object): Promise<void> {
  const row = { value: JSON.stringify(state), changedAtMs: await catalogue.nowMs(), changedBy: by };
  await catalogue.db
    .insertInto('configObject')
    .values({ section, name, ...row })
    .onConflict((conflict) => conflict.columns(['section', 'name']).doUpdateSet(row))
    .execute();
}
