/** Print metrics, or write them where the node_exporter picks them up. */
import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { operation } from '../operation.ts';
import type { MetricUses } from './figures.ts';
import { renderMetrics } from './render.ts';

const input = z.object({
  /** Absent: the text comes back. The name has to end in `.prom` for the node_exporter to read it. */
  textfile: z.string().min(1).optional(),
});
const output = z.object({ file: z.string().optional(), bytes: z.number(), text: z.string().optional() });
export type MetricsOutput = z.infer<typeof output>;

export const metrics = operation({
  name: 'metrics',
  permission: 'viewer',
  input,
  output,
  run: async ({ textfile }: z.infer<typeof input>, uses: MetricUses): Promise<MetricsOutput> => {
    const text = await renderMetrics(uses);
    const bytes = Buffer.byteLength(text);
    if (textfile === undefined) return { bytes, text };
    const file = resolve(textfile);
    await writeTextfile(file, text);
    return { bytes, file };
  },
});

/**
 * In one step, readable by everybody (a node_exporter is another user): who reads it sees all of the old one or all of the
 * new one. The file it is made from does not end in `.prom`, and so is never read. `storage.io`.
 */
export async function writeTextfile(file: string, text: string): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    await writeFile(temporary, text, { mode: 0o644, flag: 'wx' });
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined); // its folder may not even be there
    throw new HoldfastError({
      code: 'storage.io',
      message: `the metrics cannot be written to ${file}: ${messageOf(cause)}`,
      remedy: 'Check that the folder is there and that this user may write in it.',
      cause,
    });
  }
}
