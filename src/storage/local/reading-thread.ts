/**
 * Looks at files and reads small ones, many for each message, with calls that block: in a thread of its own, where they hold
 * nobody up, also on a mount that does not answer. Through the thread pool every file costs four or five ways to another
 * thread and back, which takes several times as long as the work.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { type Answer, mostFileBytes, outcome, type Request } from './reading-messages.ts';

function look(path: string): number {
  try {
    const entry = statSync(path, { throwIfNoEntry: false });
    if (!entry) return outcome.gone;
    if (entry.isDirectory()) return outcome.folder;
    return entry.isFile() ? entry.size : outcome.other;
  } catch {
    return outcome.alone;
  }
}

/** Reads a whole file to the start of `into`; one that changes meanwhile, or cannot be read at once, is left alone. */
function read(path: string, into: Uint8Array): number {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    if (size > mostFileBytes) return outcome.alone;
    return readSync(file, into, 0, mostFileBytes, 0) === size ? size : outcome.alone;
  } catch {
    return outcome.alone;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** What a batch is read into. */
let scratch = new Uint8Array();

function readAll(paths: readonly string[]): Omit<Answer, 'number'> {
  const room = paths.length * mostFileBytes;
  if (scratch.byteLength < room) scratch = new Uint8Array(room);
  let end = 0;
  const sizes = Float64Array.from(paths, (path) => {
    const size = read(path, scratch.subarray(end, end + mostFileBytes));
    end += Math.max(0, size);
    return size;
  });
  return { sizes, bytes: scratch.slice(0, end) };
}

parentPort?.on('message', ({ number, kind, paths }: Request) => {
  const found = kind === 'read' ? readAll(paths) : { sizes: Float64Array.from(paths, look) };
  const answer: Answer = { number, ...found };
  parentPort?.postMessage(answer, answer.bytes ? [answer.bytes.buffer] : []);
});
