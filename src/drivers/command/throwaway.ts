/** A restored copy is the file; it is compared byte for byte, and given to the program that verifies it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { throwIfCancelled } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import { type Check, compareFacts, type Fingerprint } from '../../model/fingerprint.ts';
import type { RestoredCopy, SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { algorithm, factsOf } from './backup.ts';
import { outputNode } from './output-node.ts';
import { ending, feed, start, told, toolsOf } from './programs.ts';
import { knownSettings, type Settings } from './settings.ts';

type Source = SourceContext<Settings>;

interface Copy {
  readonly throwaway: Throwaway;
  readonly path: string;
}

export async function restoreThrowaway(
  source: Source,
  contents: SnapshotContents,
  throwaway: Throwaway,
): Promise<RestoredCopy> {
  const { path, node } = await outputNode(contents);
  const { bytes } = await contents.writeTree(path, throwaway.directory);
  const copy = { throwaway, path: `${throwaway.directory}/${node.name}` };
  return {
    bytes,
    compare: async (expected) => [...(await compareBytes(source, copy, expected)), ...(await verify(source, copy))],
    environment: { HOLDFAST_COPY: copy.path, HOLDFAST_COPY_DIRECTORY: throwaway.directory },
    async [Symbol.asyncDispose]() {},
  };
}

async function compareBytes(source: Source, copy: Copy, expected: Fingerprint | undefined): Promise<Check[]> {
  if (expected === undefined) return [];
  if (expected.algorithm !== algorithm) {
    const measure = 'algorithm';
    return [{ subject: 'fingerprint', measure, expected: expected.algorithm, found: algorithm, ok: false }];
  }
  const digest = createHash('sha256');
  let bytes = 0;
  for await (const chunk of fileChunks(copy)) {
    throwIfCancelled(source.signal);
    digest.update(chunk);
    bytes += chunk.byteLength;
  }
  return compareFacts(expected.facts, factsOf(bytes, digest.digest('hex')));
}

/** On this machine: a drill must not need the machine it is there to replace. */
async function verify(source: Source, { throwaway, path }: Copy): Promise<Check[]> {
  const { verify: argv } = knownSettings(source);
  if (!argv) return [];
  const tools = await toolsOf(source);
  const env = { ...tools.env, HOLDFAST_COPY: path, HOLDFAST_COPY_DIRECTORY: throwaway.directory };
  const program = { noun: 'the verify command', argv, cwd: throwaway.directory };
  const process = await start(throwaway.host, program, { ...tools, env }, source.signal);
  // One that has seen enough (`head`) may leave early: its status alone decides.
  const { exit } = await feed(process, fileChunks({ throwaway, path }));
  throwIfCancelled(source.signal);
  const words = told(exit, tools);
  const found = exit.status === 0 ? '0' : `${ending(exit)}${words === '' ? '' : `: ${words}`}`;
  return [{ subject: `verify: ${argv[0]}`, measure: 'status', expected: '0', found, ok: exit.status === 0 }];
}

function fileChunks({ path }: Copy): AsyncIterable<Uint8Array> {
  return createReadStream(systemPath(path));
}
