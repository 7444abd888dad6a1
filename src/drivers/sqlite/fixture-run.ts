/** How tests of this driver run it: a private directory, writers as processes, captures written out as the engine would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host } from '../../hosts/host.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { Node } from '../../model/node.ts';
import { unattended } from '../conformance/context.ts';
import type { Capture, Entry, FileEntry, SnapshotContents, SourceContext } from '../driver.ts';
import type { WriterOptions, WriterReport } from './fixture-writer.ts';
import { sqlite } from './index.ts';
import type { Settings } from './settings.ts';

export interface Playground extends Disposable {
  readonly directory: string;
  path(name: string): string;
}

export function playground(parent = tmpdir()): Playground {
  const directory = mkdtempSync(join(parent, 'holdfast-sqlite-test-'));
  return {
    directory,
    path: (name) => join(directory, name),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export function sourceOf(
  host: Host,
  settings: { path: string } & Partial<Settings>,
  local: Host = host,
): SourceContext<Settings> {
  return unattended({ name: 'bank', settings: sqlite.settings.parse(settings), host, local });
}

export interface Writer {
  readonly process: ChildProcess;
  /** Ends it in good order. */
  stop(): Promise<WriterReport>;
  /** Ends it as a crash does. */
  crash(): Promise<void>;
}

export async function startWriter(options: WriterOptions): Promise<Writer> {
  const program = fileURLToPath(new URL('./fixture-writer.ts', import.meta.url));
  const argv = ['--disable-warning=ExperimentalWarning', program, JSON.stringify(options)];
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const closed = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), closed]);
  return {
    process: child,
    stop: async () => {
      child.stdin.end();
      await closed;
      return JSON.parse(output.trim().split('\n').at(-1) ?? '') as WriterReport;
    },
    crash: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** The file entries of a capture by path. */
export async function filesOf(capture: Capture): Promise<Map<string, FileEntry>> {
  const found = new Map<string, FileEntry>();
  const walk = async (entry: Entry, at: string): Promise<void> => {
    if (entry.kind === 'file') found.set(at, entry);
    if (entry.kind !== 'dir') return;
    for (const child of await entry.children()) await walk(child, `${at}/${child.attributes.name}`);
  };
  await walk(capture.root, '');
  return found;
}

/** Reads an entry to its end into a file; the buffer has an odd size, so that reads do not fall on pages. */
export async function writeOut(entry: FileEntry, to: string, bufferBytes = 700_001): Promise<void> {
  const reader = await entry.open();
  const buffer = Buffer.alloc(bufferBytes);
  const out = openSync(to, 'w');
  for (let count = await reader.read(buffer); count > 0; count = await reader.read(buffer))
    writeSync(out, buffer, 0, count);
  closeSync(out);
  await reader.close();
}

export interface BackupResult {
  readonly fingerprint: Fingerprint | undefined;
  readonly facts: Record<string, unknown>;
  readonly notes: readonly string[];
}

/** A whole backup: capture, copy to `to`, facts, complete, dispose. `during` runs between capture and copy. */
export async function backUp(
  source: SourceContext<Settings>,
  to: string,
  during: (capture: Capture) => Promise<void> = async () => {},
): Promise<BackupResult> {
  await using capture = await sqlite.capture(source);
  const files = await filesOf(capture);
  await during(capture);
  await writeOut(files.get(source.settings.path)!, to);
  const text = async (name: string): Promise<string | undefined> => {
    const entry = files.get(`/.holdfast/${name}`);
    if (!entry) return undefined;
    await writeOut(entry, `${to}.facts`);
    return readFileSync(`${to}.facts`, 'utf8');
  };
  const facts = JSON.parse((await text('source.json')) ?? '{}') as Record<string, unknown>;
  const fingerprint = await text('fingerprint.json');
  rmSync(`${to}.facts`);
  await capture.complete();
  return {
    facts,
    fingerprint: fingerprint === undefined ? undefined : (JSON.parse(fingerprint) as Fingerprint),
    notes: capture.notes(),
  };
}

/** Digest of every file that belongs to a database except `-shm`, which every reader may rebuild. */
export function filesDigest(directory: string): Record<string, string> {
  const names = readdirSync(directory).filter((name) => !name.endsWith('-shm'));
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(directory, name)))
        .digest('hex'),
    ]),
  );
}

/** A snapshot that lies in one file: what the engine would give. */
export function contentsOf(file: string, path: string): SnapshotContents {
  const bytes = readFileSync(file);
  const node: Node = {
    name: 'bank.db',
    type: 'file',
    mode: 0o640,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    inode: 1n,
    deviceId: 1n,
    size: bytes.length,
    links: 1,
    mtimeNs: 1_600_000_000_000_000_000n,
    atimeNs: 1_600_000_000_000_000_000n,
    ctimeNs: 0n,
  };
  return {
    id: 'a'.repeat(64),
    paths: [path],
    node: async (asked) => (asked === path ? node : undefined),
    children: async () => [],
    contentLengths: () => [bytes.length],
    async *read() {
      for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
    },
    writeTree: async (_path, directory) => {
      writeFileSync(`${directory}/bank.db`, bytes);
      return { files: 1, bytes: bytes.length, problems: [] };
    },
  };
}
