/**
 * The demonstration: a database that is written to without a pause is backed up twice, restored, compared, and proven,
 * in a folder of its own that is removed afterwards unless it is to be kept.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import { loadConfig } from '../../config/index.ts';
import { backup, type StoredResult } from '../backup/backup.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { repoInit } from '../repositories/repo.ts';
import { type DrillResult, drill } from '../snapshots/drill.ts';
import { restore } from '../snapshots/restore.ts';
import { auditBank, openBank, Writer } from './writer.ts';

const input = z.object({ keep: z.boolean().default(false), folder: z.string().optional() });
const output = z.object({
  ok: z.boolean(),
  folder: z.string(),
  kept: z.boolean(),
  configFile: z.string(),
  /** Transfers committed while the two backups ran. */
  transfersDuringBackups: z.number(),
  backups: z.array(z.custom<StoredResult>()),
  drill: z.custom<DrillResult>(),
  audit: z.object({ total: z.number(), expected: z.number(), transfers: z.number() }),
  /** What restic says of the repository; absent where it is not installed. */
  restic: z.object({ ok: z.boolean(), says: z.string() }).optional(),
});
export type DemoOutput = z.infer<typeof output>;

type Uses = Omit<SourceAccess, 'config'> & Execution;
type Ready = SourceAccess & Execution;

const defaultFolder = 'holdfast-demo';

export const demo = operation({
  name: 'demo',
  permission: 'viewer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<DemoOutput> => {
    const folder = await makeFolder(request);
    try {
      const configFile = await writeConfig(folder);
      const config = await loadConfig(configFile, uses);
      const result = await play(folder, { ...uses, config });
      return { ...result, folder, kept: request.keep, configFile };
    } finally {
      if (!request.keep) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    }
  },
});

async function play(folder: string, uses: Ready): Promise<Omit<DemoOutput, 'folder' | 'kept' | 'configFile'>> {
  const run = uses.localHost().run;
  const file = join(folder, 'bank.db');
  tell(uses, `a bank opens in ${file}`);
  await openBank(run, file, uses.signal);
  await repoInit.run({ repository: 'demo' }, uses);
  tell(uses, `a new encrypted repository in ${join(folder, 'repository')}`);
  const stored = await backUpWhileWriting(file, uses);
  const proven = await prove(uses);
  const audit = await auditRestored(folder, uses);
  const restic = await askRestic(folder, uses);
  const right = proven.ok && audit.total === audit.expected && stored.backups.every((one) => one.ok);
  return { ok: right && restic?.ok !== false, ...stored, drill: proven, audit, ...(restic ? { restic } : {}) };
}

async function backUpWhileWriting(
  file: string,
  uses: Ready,
): Promise<Pick<DemoOutput, 'backups' | 'transfersDuringBackups'>> {
  await using writer = await Writer.start(uses.localHost().run, file);
  await moreTransfers(writer, 200, uses);
  tell(uses, 'money moves without a pause: every transfer is a commit');
  const first = await backUpOnce(writer, uses);
  await moreTransfers(writer, 500, uses);
  tell(uses, 'business goes on, then a second backup stores only the pages that changed');
  const second = await backUpOnce(writer, uses);
  const transfersDuringBackups = first.transfers + second.transfers;
  return { backups: [first.result, second.result], transfersDuringBackups };
}

async function backUpOnce(writer: Writer, uses: Ready): Promise<{ result: StoredResult; transfers: number }> {
  const before = writer.transfers;
  const request = backup.input.parse({ sources: ['bank'] });
  const [result] = (await backup.run(request, uses)).results;
  await writer.assertRunning();
  const transfers = writer.transfers - before;
  if (result.error) throw new HoldfastError({ ...result.error, code: 'internal' });
  const size = `${formatBytes(result.bytes ?? 0)} read, ${formatBytes(result.addedBytes ?? 0)} stored`;
  tell(
    uses,
    `✓ backed up in ${formatDuration(result.durationMs ?? 0)}: ${size}; ${transfers} transfers committed meanwhile`,
  );
  return { result, transfers };
}

async function prove(uses: Ready): Promise<DrillResult> {
  tell(
    uses,
    'a drill restores the newest snapshot into a throwaway place and compares every table with what the backup saw',
  );
  const [result] = (await drill.run(drill.input.parse({ targets: ['bank'] }), uses)).results;
  return result;
}

/** The bank's own question to the restored copy: is all the money there? */
async function auditRestored(folder: string, uses: Ready): Promise<DemoOutput['audit']> {
  const to = join(folder, 'restored.db');
  await restore.run(restore.input.parse({ snapshot: 'bank@latest', to }), uses);
  const { total, expected, transfers } = await auditBank(uses.localHost().run, to, uses.signal);
  const sum = `${total} of ${expected} after ${transfers} transfers`;
  tell(uses, `${total === expected ? '✓' : '✗'} the money in the restored bank: ${sum}`);
  return { total, expected, transfers };
}

/** A second, independent program reads the same repository. */
async function askRestic(folder: string, { localHost, signal, report }: Ready): Promise<DemoOutput['restic']> {
  const argv = ['restic', '--no-cache', '-r', join(folder, 'repository'), 'check', '--read-data'];
  try {
    const process = await localHost().run({ argv, env: { RESTIC_PASSWORD_FILE: join(folder, 'password') }, signal });
    await process.endInput();
    const parts: Uint8Array[] = [];
    for await (const part of process.stdout) parts.push(Uint8Array.from(part));
    const { status, stderr } = await process.exit;
    const text = `${Buffer.concat(parts).toString()}\n${stderr}`.trim();
    const says = text.split('\n').findLast((line) => /error|no errors/i.test(line)) ?? text.split('\n').at(-1) ?? '';
    report({ type: 'note', message: `${status === 0 ? '✓' : '✗'} restic check --read-data: ${says}` });
    return { ok: status === 0, says };
  } catch (error) {
    if (hasCode(error, 'host.command-missing')) return undefined;
    throw error;
  }
}

/** Waits until the bank has done so much more business. */
async function moreTransfers(writer: Writer, count: number, { clock, signal }: Ready): Promise<void> {
  const enough = writer.transfers + count;
  while (writer.transfers < enough) {
    await writer.assertRunning();
    await clock.sleep(20, { signal });
  }
}

function tell({ report }: Execution, message: string): void {
  report({ type: 'note', message });
}

async function makeFolder({ keep, folder }: z.infer<typeof input>): Promise<string> {
  if (!keep && folder === undefined) return await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
  const path = resolve(folder ?? defaultFolder);
  try {
    await mkdir(path);
    return path;
  } catch (cause) {
    throw new HoldfastError({
      code: 'restore.target-exists',
      message: `the folder for the demonstration cannot be made: ${messageOf(cause)}`,
      remedy: 'Remove it, or name another one with --folder.',
      cause,
    });
  }
}

async function writeConfig(folder: string): Promise<string> {
  await writeFile(join(folder, 'password'), `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  const file = join(folder, 'holdfast.yaml');
  const text = `# The demonstration's configuration: paths are relative to this file.
repositories:
  demo: { url: ./repository, password: { file: ./password }, keep: { last: 3, daily: 7 } }
sources:
  bank: { driver: sqlite, path: ./bank.db, repository: demo }
`;
  await writeFile(file, text);
  return file;
}
