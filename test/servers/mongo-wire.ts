/** OP_MSG, the older OP_QUERY clients shake hands with, raw BSON put together and taken apart, and SCRAM-SHA-256's other side. */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Document, deserialize, serialize } from 'bson';

const opReply = 1;
const opQuery = 2004;
const opMsg = 2013;
const headerBytes = 16;

export interface Request {
  readonly id: number;
  readonly isQuery: boolean;
  readonly database: string;
  /** The first key is the command's name. */
  readonly command: Document;
  readonly rawCommand: Buffer;
  /** Document sequences (`documents`, `updates`, `deletes`, …), whether they came as sections or in the body. */
  readonly sequences: ReadonlyMap<string, readonly Buffer[]>;
}

/** Whole messages off the front of what has arrived; the rest is handed back. */
export function takeMessages(pending: Buffer): { messages: Buffer[]; rest: Buffer } {
  const messages: Buffer[] = [];
  let at = 0;
  while (pending.length - at >= 4 && pending.length - at >= pending.readInt32LE(at)) {
    const length = pending.readInt32LE(at);
    if (length < headerBytes || length > 48_000_000) throw new Error(`a message of ${length} bytes`);
    messages.push(pending.subarray(at, at + length));
    at += length;
  }
  return { messages, rest: pending.subarray(at) };
}

export function parseMessage(message: Buffer): Request {
  const id = message.readInt32LE(4);
  const code = message.readInt32LE(12);
  if (code === opQuery) return parseQuery(message, id);
  if (code !== opMsg) throw new Error(`message of kind ${code}`);
  if ((message.readUInt32LE(16) & 1) !== 0) throw new Error('checksums are not spoken here');
  let rawCommand: Buffer = Buffer.alloc(0);
  const sequences = new Map<string, readonly Buffer[]>();
  for (let at = headerBytes + 4; at < message.length; ) {
    const kind = message[at++];
    const length = message.readInt32LE(at);
    if (kind === 0) rawCommand = message.subarray(at, at + length);
    else sequences.set(...parseSequence(message.subarray(at + 4, at + length)));
    at += length;
  }
  const command = deserialize(rawCommand, { useBigInt64: true });
  for (const name of ['documents', 'updates', 'deletes', 'applyOps']) {
    if (Array.isArray(command[name]))
      sequences.set(
        name,
        elementsOf(rawField(rawCommand, name)!).map(({ value }) => value),
      );
  }
  return { id, isQuery: false, database: String(command.$db), command, rawCommand, sequences };
}

function parseQuery(message: Buffer, id: number): Request {
  const nameEnd = message.indexOf(0, headerBytes + 4);
  const [database] = message.toString('utf8', headerBytes + 4, nameEnd).split('.');
  const at = nameEnd + 1 + 8;
  const rawCommand = message.subarray(at, at + message.readInt32LE(at));
  return { id, isQuery: true, database, command: deserialize(rawCommand), rawCommand, sequences: new Map() };
}

function parseSequence(bytes: Buffer): [string, Buffer[]] {
  const nameEnd = bytes.indexOf(0);
  const documents: Buffer[] = [];
  for (let at = nameEnd + 1; at < bytes.length; ) {
    const length = bytes.readInt32LE(at);
    documents.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [bytes.toString('utf8', 0, nameEnd), documents];
}

export function replyTo({ id, isQuery }: Request, body: Buffer): Buffer {
  const front = Buffer.alloc(isQuery ? headerBytes + 20 : headerBytes + 5);
  front.writeInt32LE(front.length + body.length, 0);
  front.writeInt32LE(id, 8);
  front.writeInt32LE(isQuery ? opReply : opMsg, 12);
  if (isQuery) front.writeInt32LE(1, headerBytes + 16);
  return Buffer.concat([front, body]);
}

/** An answer with a cursor whose documents are given as they are stored. */
export function cursorReply(batch: string, documents: readonly Buffer[], cursor: Document, more: Document): Buffer {
  const items = joined(documents.map((raw, i) => element(0x03, String(i), raw)));
  const inner = joined([element(0x04, batch, items), inside(serialize(cursor))]);
  return joined([element(0x03, 'cursor', inner), inside(serialize(more))]);
}

function joined(elements: readonly Buffer[]): Buffer {
  const length = elements.reduce((sum, one) => sum + one.length, 5);
  const front = Buffer.alloc(4);
  front.writeInt32LE(length);
  return Buffer.concat([front, ...elements, Buffer.alloc(1)]);
}

function element(type: number, name: string, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type]), Buffer.from(`${name}\0`), value]);
}

function inside(document: Uint8Array): Buffer {
  return Buffer.from(document.subarray(4, document.length - 1));
}

/** The value of a field as it is stored. */
export function rawField(document: Buffer, name: string): Buffer | undefined {
  return elementsOf(document).find((one) => one.name === name)?.value;
}

export function elementsOf(document: Buffer): { type: number; name: string; value: Buffer }[] {
  const found = [];
  for (let at = 4; at < document.length - 1; ) {
    const type = document[at];
    const nameEnd = document.indexOf(0, at + 1);
    const from = nameEnd + 1;
    const end = from + valueBytes(document, type, from);
    found.push({ type, name: document.toString('utf8', at + 1, nameEnd), value: document.subarray(from, end) });
    at = end;
  }
  return found;
}

const fixed: Readonly<Record<number, number>> = {
  1: 8,
  6: 0,
  7: 12,
  8: 1,
  9: 8,
  10: 0,
  16: 4,
  17: 8,
  18: 8,
  19: 16,
  127: 0,
  255: 0,
};

function valueBytes(document: Buffer, type: number, at: number): number {
  if (type in fixed) return fixed[type];
  if (type === 3 || type === 4 || type === 15) return document.readInt32LE(at);
  if (type === 2 || type === 13 || type === 14) return 4 + document.readInt32LE(at);
  if (type === 5) return 5 + document.readInt32LE(at);
  if (type === 12) return 4 + document.readInt32LE(at) + 12;
  if (type === 11) return document.indexOf(0, document.indexOf(0, at) + 1) + 1 - at;
  throw new Error(`an element of type ${type}`);
}

/** RFC 7677, the server's side of one sign-in. */
export class Scram {
  readonly #password: string;
  readonly #salt = randomBytes(28);
  readonly #iterations = 4096;
  #nonce = '';
  #said = '';

  constructor(password: string) {
    this.#password = password;
  }

  /** The user that wants in, and what to answer. */
  static userOf(payload: string): string {
    return (/(?:^|,)n=([^,]*)/.exec(payload.slice(3))?.[1] ?? '').replaceAll('=2C', ',').replaceAll('=3D', '=');
  }

  first(payload: string): string {
    const bare = payload.slice(3);
    this.#nonce = `${/(?:^|,)r=([^,]*)/.exec(bare)?.[1] ?? ''}${randomBytes(18).toString('base64')}`;
    const reply = `r=${this.#nonce},s=${this.#salt.toString('base64')},i=${this.#iterations}`;
    this.#said = `${bare},${reply}`;
    return reply;
  }

  /** The server's signature; `undefined` if the password is wrong. */
  last(payload: string): string | undefined {
    const proof = Buffer.from(/,p=(.*)$/.exec(payload)?.[1] ?? '', 'base64');
    const text = `${this.#said},${payload.replace(/,p=.*$/, '')}`;
    const salted = pbkdf2Sync(this.#password, this.#salt, this.#iterations, 32, 'sha256');
    const clientKey = createHmac('sha256', salted).update('Client Key').digest();
    const storedKey = createHash('sha256').update(clientKey).digest();
    const signature = createHmac('sha256', storedKey).update(text).digest();
    const expected = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]));
    if (!payload.includes(`r=${this.#nonce},`) || proof.length !== 32 || !timingSafeEqual(proof, expected))
      return undefined;
    const serverKey = createHmac('sha256', salted).update('Server Key').digest();
    return `v=${createHmac('sha256', serverKey).update(text).digest('base64')}`;
  }
}
