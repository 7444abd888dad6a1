/** The whole configuration as one file: the file's text with its comments, entries made over the API in their sections, secrets as references only. */
import { z } from 'zod';
import { configWithoutSecrets } from '../../config/index.ts';
import type { CatalogueAccess, Execution, SourceAccess } from '../operation.ts';
import { operation } from '../operation.ts';
import { withoutOpeners } from './in-use.ts';
import { readMerged } from './merged.ts';
import { leftOutView } from './plan.ts';

const input = z.object({});
const output = z.object({
  file: z.string(),
  text: z.string(),
  /** Settings that are not as they were written, because a secret stood there in the clear, and what stands there now. */
  replaced: z.array(z.object({ path: z.string(), by: z.string() })),
  /** Entries that are not from the file, and where they are from. */
  added: z.array(z.object({ section: z.string(), name: z.string(), from: z.enum(['ui', 'label']) })),
  leftOut: z.array(z.object({ from: z.string(), path: z.string(), message: z.string(), remedy: z.string() })),
});
export type ExportOutput = z.infer<typeof output>;

/** `config.missing`, `config.invalid`. */
export const exportConfiguration = operation({
  name: 'export',
  permission: 'admin',
  input,
  output,
  run: async (
    _: z.infer<typeof input>,
    uses: SourceAccess & Execution & Partial<CatalogueAccess>,
  ): Promise<ExportOutput> => {
    const { config } = await readMerged(uses.config.file, { known: uses, catalogue: uses.catalogue });
    const { text, replaced } = configWithoutSecrets(config, withoutOpeners(uses));
    const added = [...config.origins].map(([key, from]) => {
      const [section, name] = [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)];
      return { section, name, from };
    });
    return {
      file: config.file,
      text: text.endsWith('\n') ? text : `${text}\n`,
      replaced: replaced.map((one) => ({ ...one })),
      added,
      leftOut: config.leftOut.map(leftOutView),
    };
  },
});
