/**
 * Lists of any length: one line each for a person, one JSON document for a program, written while they come. Waits when
 * the reader is slower. Memory: one item.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Face } from './face.ts';

export interface ListForm<Item> {
  /** The member of the document that holds the items. */
  readonly key: string;
  readonly line: (item: Item) => string;
}

/** Writes what `run` emits; its result becomes the rest of the document. An error on the way leaves a whole document that says so. */
export async function emitList<Item, Output extends object>(
  face: Face,
  form: ListForm<Item>,
  run: (emit: (item: Item) => Promise<void>) => Promise<Output>,
): Promise<Output> {
  const { stdout, json } = face.screen;
  let count = 0;
  const open = (): string => `{${JSON.stringify(form.key)}:[`;
  const emit = async (item: Item): Promise<void> => {
    const text = json ? `${count === 0 ? open() : ','}\n${JSON.stringify(item)}` : `${form.line(item)}\n`;
    count++;
    await write(stdout, text);
  };
  try {
    const output = await run(emit);
    if (json) await write(stdout, `${count === 0 ? open() : ''}],${JSON.stringify(output).slice(1)}\n`);
    return output;
  } catch (error) {
    if (json && count > 0) await write(stdout, '],"incomplete":true}\n');
    throw error;
  }
}

export async function write(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain');
}
