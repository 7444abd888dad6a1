/** The file as it is now, with what was made over the API under it. */
import type { Catalogue } from '../../catalogue/open.ts';
import { type Config, type Declared, type Known, parseConfig, readConfigFile } from '../../config/index.ts';
import { digestOf } from './in-use.ts';
import { asDeclared, readObjects } from './objects/object-rows.ts';

export interface Merged {
  readonly config: Config;
  /** Of the file. */
  readonly digest: string;
}

/** `config.missing`, `config.invalid`. `text` instead of what the file holds. */
export async function readMerged(
  file: string,
  {
    known,
    catalogue,
    text,
    labels = [],
  }: { known: Known; catalogue?: Catalogue; text?: string; labels?: readonly Declared[] },
): Promise<Merged> {
  const bytes = text === undefined ? await readConfigFile(file) : Buffer.from(text);
  const made = catalogue ? (await readObjects(catalogue)).map(asDeclared) : [];
  return { config: parseConfig(file, bytes, known, { declared: [...made, ...labels] }), digest: digestOf(bytes) };
}
