/** How to restore a source, step by step, with Holdfast and without it: from the facts of its newest snapshot and its last drill. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { describeError } from '../describe-error.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { toMarkdown } from '../recovery-kit/render.ts';
import { chooseSources } from '../sources/source-access.ts';
import { gather } from './gather.ts';
import { runbookPage } from './page.ts';

const input = z.object({
  sources: z.array(z.string()).default([]),
  all: z.boolean().default(false),
  /** A folder: one file for each source, replaced if it is there. Absent: the text comes back. */
  to: z.string().optional(),
});
const output = z.object({
  ok: z.boolean(),
  runbooks: z.array(
    z.object({
      source: z.string(),
      /** Markdown, unless it was written to a file. */
      text: z.string().optional(),
      file: z.string().optional(),
      /** The snapshot its steps restore. */
      snapshot: z.string().optional(),
      error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
    }),
  ),
});
export type RunbookOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;
type Uses = SourceAccess & Execution;

/** Needs no running source, only its repositories. One source that has no runbook does not keep the others from theirs. */
export const runbook = operation({
  name: 'runbook',
  permission: 'restorer',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<RunbookOutput> => {
    const sources = chooseSources(uses.config, request);
    if (sources.length > 1 && request.to === undefined) throw needsFolder(sources.length);
    const folder = request.to === undefined ? undefined : resolve(request.to);
    if (folder !== undefined) await mkdir(folder, { recursive: true });
    const runbooks: RunbookOutput['runbooks'] = [];
    for (const source of sources) {
      try {
        const facts = await gather(source, uses);
        const text = toMarkdown(runbookPage(facts));
        const made = { source: source.name, snapshot: facts.copies[0].snapshot };
        runbooks.push(
          folder === undefined ? { ...made, text } : { ...made, file: await written(folder, source.name, text) },
        );
      } catch (error) {
        if (uses.signal.aborted || hasCode(error, 'cancelled') || sources.length === 1) throw error;
        const { code, message, remedy } = describeError(error);
        runbooks.push({ source: source.name, error: { code, message, remedy } });
      }
    }
    return { ok: runbooks.every((one) => one.error === undefined), runbooks };
  },
});

/** In one step: who reads it meanwhile reads the old one or the new one. */
async function written(folder: string, source: string, text: string): Promise<string> {
  const file = join(folder, `${source}.md`);
  const temporary = `${file}.new`;
  try {
    await writeFile(temporary, text, { mode: 0o644, flush: true });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return file;
}

function needsFolder(count: number): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `${count} runbooks need a folder`,
    remedy: 'Say where to write them: --to DIRECTORY.',
  });
}
