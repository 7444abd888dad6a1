/**
 * Compares a copy with the database on another host by digests that python3 takes there: what travels while writers wait is
 * 32 bytes for each 64 KiB, and the blocks that differ. A process of its own reads: the one that holds the lock must not.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { throwIfCancelled } from '../../../base/errors.ts';
import { encodeName } from '../../../base/names.ts';
import type { HolderClient } from '../holder-client.ts';
import { writeFully } from './far-files.ts';
import { startPython } from './python-holder.ts';
import type { FarMain } from './spool-far.ts';

const blockBytes = 64 * 1024;
/** 4 MiB, and a third more as text. */
const blocksAtOnce = 64;
const digestBytes = 32;

/** Memory: 32 bytes a block on either side, and a few MiB. */
export class BlockDigests implements AsyncDisposable {
  readonly #main: FarMain;
  #reader: HolderClient | undefined;
  /** Of the copy as it was written last; empty before the first comparison. */
  #ours: Buffer[] = [];

  constructor(main: FarMain) {
    this.#main = main;
  }

  /** See `SpoolSource.correct`. When `stop` is aborted the process there is ended in the midst of its work. */
  async correct(copy: FileHandle, stop: AbortSignal): Promise<number> {
    if (this.#ours.length === 0) this.#ours = await digestsOf(copy, stop);
    const { digests } = (await this.#ask({ ask: 'digests' }, stop)) as { digests: string };
    const theirs = Buffer.from(digests, 'base64');
    const changed: number[] = [];
    for (let i = 0; i * digestBytes < theirs.length; i++) {
      if (!this.#ours[i]?.equals(theirs.subarray(i * digestBytes, (i + 1) * digestBytes))) changed.push(i);
    }
    for (let at = 0; at < changed.length; at += blocksAtOnce) {
      await this.#fetch(copy, changed.slice(at, at + blocksAtOnce), stop);
    }
    return changed.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader?.[Symbol.asyncDispose]();
  }

  /** The content is digested again: without a lock it may be newer than what was compared. */
  async #fetch(copy: FileHandle, numbers: readonly number[], stop: AbortSignal): Promise<void> {
    const answer = (await this.#ask({ ask: 'blocks', numbers }, stop)) as { blocks: string[] };
    for (const [i, text] of answer.blocks.entries()) {
      const block = Buffer.from(text, 'base64');
      await writeFully(copy, block, numbers[i] * blockBytes);
      this.#ours[numbers[i]] = createHash('sha256').update(block).digest();
    }
  }

  async #ask(question: { readonly ask: string; readonly numbers?: readonly number[] }, stop: AbortSignal) {
    const { host, realPath, signal } = this.#main;
    throwIfCancelled(stop);
    this.#reader ??= await startPython(host, signal);
    const reader = this.#reader;
    const end = (): void => {
      this.#reader = undefined;
      void reader[Symbol.asyncDispose]();
    };
    stop.addEventListener('abort', end, { once: true });
    try {
      const path = encodeName(realPath).toString('base64');
      const located = { ...question, path, blockBytes };
      return await reader.request(located);
    } catch (error) {
      throwIfCancelled(stop);
      throw error;
    } finally {
      stop.removeEventListener('abort', end);
    }
  }
}

async function digestsOf(copy: FileHandle, stop: AbortSignal): Promise<Buffer[]> {
  const found: Buffer[] = [];
  const buffer = Buffer.allocUnsafe(blockBytes);
  for (let position = 0; ; position += blockBytes) {
    throwIfCancelled(stop);
    const { bytesRead } = await copy.read(buffer, 0, blockBytes, position);
    if (bytesRead === 0) return found;
    found.push(createHash('sha256').update(buffer.subarray(0, bytesRead)).digest());
  }
}
