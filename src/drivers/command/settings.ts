/** Settings of a command source. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

const argv = z.array(z.string().regex(/^[^\0]*$/, 'text without NUL bytes')).refine((words) => Boolean(words[0]), {
  error: 'names no program',
});
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a name of letters, digits and _');
const bytes = z.number().int().nonnegative();

export const settings = z
  .strictObject({
    command: argv
      .optional()
      .describe('A program and its arguments as a list: what it prints on stdout is backed up. No shell takes part.'),
    shell: z
      .string()
      .regex(/^[^\0]*\S[^\0]*$/, 'a line of commands')
      .optional()
      .describe(
        'Instead of command: a line that sh -c runs. Of a pipe only the last program decides whether it succeeded.',
      ),
    restore: argv
      .optional()
      .describe('A program and its arguments as a list: it gets the bytes on stdin when a snapshot is put back.'),
    verify: argv
      .optional()
      .describe(
        'A program and its arguments as a list: in a drill it gets the restored bytes on stdin, on this machine, and must exit 0.',
      ),
    env: z.record(variable, z.string()).optional().describe('Environment variables of the programs, in the clear.'),
    secrets: z
      .record(variable, secretSetting('a secret: { file: /path }, { env: NAME } or { command: [program, argument] }'))
      .optional()
      .describe('Environment variables of the programs that are secrets: they are masked in messages.'),
    cwd: z.string().startsWith('/').optional().describe('The directory on the host that the programs start in.'),
    filename: z
      .string()
      .regex(/^(?!\.{1,2}$)[^/\0]{1,255}$/, 'the name of a file')
      .optional()
      .describe('The name of the file in the snapshot. Default: the name of the program; output for shell.'),
    okStatus: z
      .array(z.number().int().min(0).max(255))
      .min(1)
      .default([0])
      .describe('The exit statuses of command that mean success.'),
    allowEmpty: z.boolean().default(false).describe('Whether a command that prints nothing is a backup.'),
    minBytes: bytes.optional().describe('Fewer bytes than these are a failed backup.'),
    maxBytes: bytes.optional().describe('More bytes than these are a failed backup.'),
  })
  .superRefine((given, ctx) => {
    const fault = (path: string[], message: string): void => ctx.addIssue({ code: 'custom', path, message });
    if (given.command === undefined && given.shell === undefined) fault([], 'says neither command nor shell');
    if (given.command !== undefined && given.shell !== undefined) fault(['shell'], 'stands beside command');
    for (const name of Object.keys(given.secrets ?? {})) {
      if (given.env && name in given.env) fault(['env', name], 'is among the secrets, too');
    }
    if ((given.minBytes ?? 0) > (given.maxBytes ?? Number.POSITIVE_INFINITY)) fault(['minBytes'], 'is above maxBytes');
  });

export type Settings = z.infer<typeof settings>;

/** What to run, as the host takes it. */
export function argvOf({ command, shell }: Settings): readonly string[] {
  return command ?? ['sh', '-c', shell ?? ''];
}

/** The program as errors name it. */
export function programOf({ command }: Settings): string {
  return command?.[0] ?? 'sh';
}

export function filenameOf({ filename, command }: Settings): string {
  if (filename !== undefined) return filename;
  return command?.[0].split('/').findLast((part) => part !== '' && part !== '.' && part !== '..') ?? 'output';
}

/** Those of a snapshot whose source is not declared any more are not known: it can still be restored to a file. */
export function knownSettings(source: { readonly settings: Settings | undefined }): Partial<Settings> {
  return source.settings ?? {};
}
