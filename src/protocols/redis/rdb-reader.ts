/**
 * Reads an RDB file while it passes: versions 1 to 12 and what follows them in Redis, 11 and 80 in Valkey. Memory: the
 * largest single item (an element, or a packed list), about twice; strings pass in parts. Unknown parts are refused, never guessed.
 */
import { view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { malformed, unsupportedRdb } from './malformed.ts';
import {
  RdbInput,
  readCount,
  readMilliseconds,
  readString,
  readUnsigned,
  type Steps,
  skipString,
} from './rdb-input.ts';
import { type Product, skipModuleFields, type ValueKind, type ValueSink, valueType } from './rdb-values.ts';

export interface RdbHeader {
  readonly product: Product;
  readonly version: number;
}

export interface RdbKey {
  readonly database: number;
  readonly name: Uint8Array;
  readonly kind: ValueKind;
  /** The type byte, with which a DUMP payload begins. */
  readonly type: number;
  /** The RDB version a server has to know for a value of this type. */
  readonly since: number;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: bigint | undefined;
}

/** What to do with what is read; whatever is not asked for is passed over without being decoded. */
export interface RdbVisitor {
  header?(header: RdbHeader): void;
  /** Facts the server notes: `redis-ver`, `used-mem`, … */
  aux?(name: string, value: string): void;
  /** The code of a library of functions. */
  library?(code: Uint8Array): void;
  /** A module noted something of its own, beside its keys. */
  moduleAux?(): void;
  /** A key begins. Its value goes to the sink; `raw`: its bytes are given to `keyEnd` instead; nothing: passed over. */
  key?(key: RdbKey): ValueSink | 'raw' | undefined;
  /** The key's value has passed: `bytes` of it, which are `raw` if they were asked for. */
  keyEnd?(key: RdbKey, bytes: number, raw: Uint8Array | undefined): void;
}

const opcode = {
  slotInfo: 244,
  function2: 245,
  moduleAux: 247,
  idle: 248,
  frequency: 249,
  aux: 250,
  resize: 251,
  expiryMs: 252,
  expirySeconds: 253,
  select: 254,
  end: 255,
} as const;

/** From 5 on a file ends with its checksum. */
const firstWithChecksum = 5;
const newestVersion = 99;

/** Takes the bytes as they come; gives what they say to a visitor. Throws `source.unreadable` or `source.unsupported` at the first fault. */
export class RdbReader {
  readonly #input = new RdbInput();
  readonly #steps: Steps<void>;
  #wanted = 0;
  #done = false;

  constructor(visitor: RdbVisitor) {
    this.#steps = readFile(this.#input, visitor);
    this.#advance();
  }

  /** `piece` must not be altered afterwards. */
  feed(piece: Uint8Array): void {
    this.#input.add(piece);
    if (this.#done) {
      if (this.#input.unread > 0) throw malformed('bytes follow its end');
      return;
    }
    if (this.#input.unread >= this.#wanted) this.#advance();
  }

  /** No more bytes will come: throws unless the file is complete. */
  end(): void {
    this.#input.ended = true;
    if (!this.#done) this.#advance();
  }

  #advance(): void {
    const step = this.#steps.next();
    this.#done = step.done === true;
    this.#wanted = step.done ? 0 : step.value;
    if (this.#done && this.#input.unread > 0) throw malformed('bytes follow its end');
  }
}

function* readFile(input: RdbInput, visitor: RdbVisitor): Steps<void> {
  const header = yield* readHeader(input);
  visitor.header?.(header);
  const state: ReadState = { header, database: 0, expiresAtMs: undefined };
  while (true) {
    yield* input.need(1);
    const code = input.bytes[input.at++];
    if (code === opcode.end) break;
    if (code >= opcode.slotInfo) yield* readOther(input, visitor, code, state);
    else {
      yield* readKey(input, visitor, code, state);
      state.expiresAtMs = undefined;
    }
  }
  if (header.version >= firstWithChecksum) yield* input.skip(8);
}

/** What was said for the keys that follow. */
interface ReadState {
  readonly header: RdbHeader;
  database: number;
  expiresAtMs: bigint | undefined;
}

/** `REDIS` and four digits, or `VALKEY` and three. */
function* readHeader(input: RdbInput): Steps<RdbHeader> {
  yield* input.need(9);
  const text = view(input.take(9)).toString('latin1');
  const match = /^(?:(REDIS)(\d{4})|(VALKEY)(\d{3}))$/.exec(text);
  if (!match) throw malformed('it does not begin as an RDB file does');
  const version = Number(match[2] ?? match[4]);
  if (version < 1 || version > newestVersion) throw unsupportedRdb(`the format version ${version}`);
  return { product: match[3] ? 'valkey' : 'redis', version };
}

function* readSeconds(input: RdbInput): Steps<bigint> {
  yield* input.need(4);
  input.at += 4;
  return BigInt(input.bytes.readInt32LE(input.at - 4)) * 1000n;
}

function* readOther(input: RdbInput, visitor: RdbVisitor, code: number, state: ReadState): Steps<void> {
  switch (code) {
    case opcode.select:
      state.database = yield* readCount(input);
      return;
    case opcode.expiryMs:
      state.expiresAtMs = yield* readMilliseconds(input);
      return;
    case opcode.expirySeconds:
      state.expiresAtMs = yield* readSeconds(input);
      return;
    case opcode.frequency:
      return yield* input.skip(1);
    case opcode.idle:
      return yield* skipNumbers(input, 1);
    case opcode.resize:
      return yield* skipNumbers(input, 2);
    case opcode.slotInfo:
      return yield* skipNumbers(input, 3);
    case opcode.aux: {
      const name = view(yield* readString(input)).toString('latin1');
      const value = view(yield* readString(input)).toString('utf8');
      visitor.aux?.(name, value);
      return;
    }
    case opcode.function2: {
      const code = yield* readString(input);
      visitor.library?.(code);
      return;
    }
    case opcode.moduleAux:
      yield* skipNumbers(input, 1);
      yield* skipModuleFields(input);
      visitor.moduleAux?.();
      return;
    default:
      throw unsupportedRdb(`a part of kind ${code}`);
  }
}

function* skipNumbers(input: RdbInput, count: number): Steps<void> {
  for (let i = 0; i < count; i++) yield* readUnsigned(input);
}

function* readKey(input: RdbInput, visitor: RdbVisitor, code: number, state: ReadState): Steps<void> {
  const { kind, since, read, skip } = valueType(code, state.header.product);
  if (!visitor.key) {
    yield* skipString(input);
    return yield* skip(input);
  }
  const name = yield* readString(input);
  const { database, expiresAtMs } = state;
  const key: RdbKey = { database, name, kind, type: code, since, expiresAtMs };
  const sink = visitor.key(key);
  const from = input.position;
  if (sink === 'raw') input.keep();
  try {
    if (sink === undefined || sink === 'raw') yield* skip(input);
    else yield* read(input, sink);
  } catch (error) {
    throw naming(error, key);
  }
  visitor.keyEnd?.(key, input.position - from, sink === 'raw' ? input.kept() : undefined);
}

function naming(error: unknown, key: RdbKey): unknown {
  if (!(error instanceof HoldfastError) || error.code === 'internal') return error;
  const { code, message, remedy, retry } = error;
  return new HoldfastError({ code, message: `${message} (${keyTitle(key)})`, remedy, retry, cause: error });
}

/** A key as people can read it; names may be any bytes. */
export function keyTitle({ database, kind, name }: Pick<RdbKey, 'database' | 'kind' | 'name'>): string {
  const text = JSON.stringify(view(name.subarray(0, 100)).toString('utf8'));
  return `${kind} ${text}${name.length > 100 ? '…' : ''} in database ${database}`;
}
