/**
 * Rows as a MySQL or MariaDB server sends them, written as INSERT statements. What goes in: whole rows, each its length as 32
 * bits and then its values, length-encoded, 0xfb for NULL (MySQL 9 internals, text result set). What comes out is what
 * src/drivers/mysql/row-writer.ts writes, byte for byte; it has no part in the order or choice of rows.
 *
 * A vector of 16 bytes is read and written wherever at least one byte of it is meant: regions have as much to spare.
 */
const INPUT_BYTES: usize = 0x100000;
const OUTPUT_BYTES: usize = 0x400000;
const COLUMNS: usize = 4096;
/** Bytes a column may need beside twice its value: an introducer, quotes, a comma. */
const COLUMN_BYTES: usize = 64;
const SPARE: usize = 64;

/** Whole rows. */
export const input: usize = memory.data(0x100000 + 64, 64);
/** Statements, `used` bytes of them. */
export const output: usize = memory.data(0x400000 + 64, 64);
/** For each column that is written one byte: how. */
export const forms: usize = memory.data(4096, 64);
/** For each column 64 bytes: a length, and the text before the digits of a foreign text. */
export const introducers: usize = memory.data(4096 * 64, 64);
/** What a statement begins with. */
export const opening: usize = memory.data(0x100000, 64);

/** The second character of an escape; zero for bytes that need none. */
const escapes: usize = memory.data(256, 64);

/** Bytes in `output`, and those of the statement that has not ended, wherever they are by now. */
export let used: u32 = 0;
export let statement: u32 = 0;

const PLAIN: u8 = 0;
const TEXT: u8 = 1;
const BYTES: u8 = 2;
const ASCII: u8 = 3;

/** Statements are about this long, as a power of two, and at most a row more than this. */
const STATEMENT_BITS: u64 = 19;
const MOST_STATEMENT: u32 = 4 << 20;

const NOTHING = i8x16.splat(0);

export function prepare(): void {
  store<u8>(escapes, 0x30);
  store<u8>(escapes + 0x0a, 0x6e);
  store<u8>(escapes + 0x0d, 0x72);
  store<u8>(escapes + 0x1a, 0x5a);
  store<u8>(escapes + 0x27, 0x27);
  store<u8>(escapes + 0x5c, 0x5c);
}

/** To be called when what was in `output` was taken. */
export function taken(): void {
  used = 0;
}

/** To be called when a row was written elsewhere, or a table ended: a statement ends there. */
export function ended(): void {
  statement = 0;
}

/**
 * Writes the rows from `from` up to `length` as long as there is room; gives the place of the first that was not written.
 * Traps on a row whose values do not fill it exactly.
 */
export function write(from: usize, length: usize, columns: usize, written: usize, openingBytes: usize): usize {
  let at = from;
  while (at < length) {
    const size = <usize>load<u32>(input + at);
    if (<usize>used + 2 * size + COLUMN_BYTES * columns + openingBytes + SPARE > OUTPUT_BYTES) break;
    const start = input + at + 4;
    const end = start + size;
    if (end > input + length) unreachable();
    const first = output + used;
    let to = first;
    if (statement == 0) {
      memory.copy(to, opening, openingBytes);
      to += openingBytes;
    } else {
      store<u16>(to, 0x0a2c);
      to += 2;
    }
    to = writeRow(start, end, written, columns, to);
    const bytes = <u32>(to - first);
    statement += bytes;
    if (isLast(start, size, bytes) || statement > MOST_STATEMENT) {
      store<u16>(to, 0x0a3b);
      to += 2;
      statement = 0;
    }
    used = <u32>(to - output);
    at += 4 + size;
  }
  return at;
}

/** The chance to be the last row of a statement is the row's share of a statement, whatever came before it. */
function isLast(start: usize, size: usize, bytes: u32): bool {
  let hash: u64 = <u64>size;
  const end = start + size;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    hash = (hash ^ load<u64>(at)) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  const rest = <u64>(end - at);
  hash = (hash ^ (load<u64>(at) & (((<u64>1) << (rest << 3)) - 1))) * 0x9e3779b97f4a7c15;
  hash ^= hash >> 29;
  hash *= 0xbf58476d1ce4e5b9;
  return hash >> 32 < (<u64>bytes) << (32 - STATEMENT_BITS);
}

function writeRow(start: usize, end: usize, written: usize, columns: usize, into: usize): usize {
  let to = into;
  let at = start;
  store<u8>(to++, 0x28);
  for (let column: usize = 0; column < columns; column++) {
    const first = load<u8>(at++);
    let length: usize = first;
    if (first >= 0xfb) {
      if (first == 0xfb) {
        if (column >= written) continue;
        if (column > 0) store<u8>(to++, 0x2c);
        store<u32>(to, 0x4c4c554e);
        to += 4;
        continue;
      }
      if (first == 0xfc) {
        length = load<u16>(at);
        at += 2;
      } else if (first == 0xfd) {
        length = load<u32>(at) & 0xffffff;
        at += 3;
      } else {
        length = <usize>min<u64>(load<u64>(at), 0xffffffff);
        at += 8;
      }
    }
    if (at > end || length > end - at) unreachable();
    if (column < written) {
      if (column > 0) store<u8>(to++, 0x2c);
      to = writeValue(load<u8>(forms + column), column, at, length, to);
    }
    at += length;
  }
  if (at != end) unreachable();
  store<u8>(to, 0x29);
  return to + 1;
}

// @ts-ignore: decorator
@inline
function writeValue(form: u8, column: usize, at: usize, length: usize, to: usize): usize {
  if (form == PLAIN) return copy(at, length, to);
  if (form == TEXT) return quote(at, length, to);
  if (form == BYTES) return hex(at, length, to);
  if (form == ASCII && isAscii(at, length)) return quote(at, length, to);
  return foreign(column, at, length, to);
}

// @ts-ignore: decorator
@inline
function copy(at: usize, length: usize, to: usize): usize {
  v128.store(to, v128.load(at));
  if (length > 16) memory.copy(to + 16, at + 16, length - 16);
  return to + length;
}

function isAscii(at: usize, length: usize): bool {
  for (let done: usize = 0; done < length; done += 16) {
    let high = i8x16.bitmask(v128.load(at + done));
    const rest = length - done;
    if (rest < 16) high &= (1 << (<i32>rest)) - 1;
    if (high != 0) return false;
  }
  return true;
}

/** Bits of the bytes that need an escape: NUL, line feed, carriage return, 0x1a, the quote, the backslash. */
// @ts-ignore: decorator
@inline
function escapeBits(bytes: v128): i32 {
  const low = v128.or(i8x16.eq(bytes, NOTHING), i8x16.eq(bytes, i8x16.splat(0x0a)));
  const middle = v128.or(i8x16.eq(bytes, i8x16.splat(0x0d)), i8x16.eq(bytes, i8x16.splat(0x1a)));
  const high = v128.or(i8x16.eq(bytes, i8x16.splat(0x27)), i8x16.eq(bytes, i8x16.splat(0x5c)));
  return i8x16.bitmask(v128.or(v128.or(low, middle), high));
}

/** Runs without an escape are copied sixteen bytes at once. */
function quote(from: usize, length: usize, into: usize): usize {
  let to = into;
  let at = from;
  const end = from + length;
  store<u8>(to++, 0x27);
  while (at < end) {
    const bytes = v128.load(at);
    v128.store(to, bytes);
    const rest = end - at;
    let bits = escapeBits(bytes);
    if (rest < 16) bits &= (1 << (<i32>rest)) - 1;
    if (bits == 0) {
      const step = rest < 16 ? rest : 16;
      at += step;
      to += step;
      continue;
    }
    const run = <usize>ctz(bits);
    at += run;
    to += run;
    store<u8>(to, 0x5c);
    store<u8>(to + 1, load<u8>(escapes + <usize>load<u8>(at)));
    at++;
    to += 2;
  }
  store<u8>(to, 0x27);
  return to + 1;
}

function foreign(column: usize, at: usize, length: usize, into: usize): usize {
  if (length == 0) return hex(at, length, into);
  const introducer = introducers + (column << 6);
  const bytes = <usize>load<u8>(introducer);
  memory.copy(into, introducer + 1, bytes);
  return digits(at, length, into + bytes);
}

/** No bytes are an empty text. */
function hex(at: usize, length: usize, to: usize): usize {
  if (length == 0) {
    store<u16>(to, 0x2727);
    return to + 2;
  }
  store<u16>(to, 0x7830);
  return digits(at, length, to + 2);
}

/** Eight bytes at once. */
function digits(at: usize, length: usize, to: usize): usize {
  const letters = v128(0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66);
  const low = i16x8.splat(0x0f);
  for (let done: usize = 0; done < length; done += 8) {
    const wide = v128.load_ext<u8>(at + done);
    const nibbles = v128.or(v128.shr<u16>(wide, 4), v128.shl<i16>(v128.and(wide, low), 8));
    v128.store(to + (done << 1), v128.swizzle(letters, nibbles));
  }
  return to + (length << 1);
}
