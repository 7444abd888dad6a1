/** Headers of tar archives: ustar with the extensions of POSIX.1-2001 (pax) and GNU, as engines and tar programs write them. */
import { HoldfastError } from '../../base/errors.ts';
import { decodeName } from '../../base/names.ts';

export const blockBytes = 512;

export interface TarHeader {
  /** As it stands in the archive; directories end with a slash. */
  readonly path: string;
  /** One character: `0` file, `1` hard link, `2` symlink, `3` and `4` devices, `5` directory, `6` fifo, others for extensions. */
  readonly type: string;
  readonly linkPath: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly group: string;
  /** Bytes of content that follow. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly device: { readonly major: number; readonly minor: number };
  readonly xattrs: readonly { readonly name: string; readonly value: Uint8Array }[];
}

/** What a pax record may say instead of the header; values are bytes. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

/** Reads a header block. `undefined` for a block of zeros: the end. */
export function parseHeader(block: Buffer, pax: PaxRecords): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  checkSum(block);
  const isUstar = block.toString('latin1', 257, 262) === 'ustar';
  // GNU's own format has other things where ustar has a prefix
  const prefix = isUstar && block[263] === 48 ? textAt(block, 345, 155) : '';
  const name = textAt(block, 0, 100);
  const words = (key: string, or: string): string => decoded(pax.get(key)) ?? or;
  const number = (key: string, at: number, length: number): number => {
    const value = pax.get(key);
    return value ? Number(value.toString('latin1')) : numberAt(block, at, length);
  };
  return {
    path: words('path', prefix ? `${prefix}/${name}` : name),
    type: block[156] === 0 ? '0' : String.fromCharCode(block[156]),
    linkPath: words('linkpath', textAt(block, 157, 100)),
    mode: numberAt(block, 100, 8),
    uid: number('uid', 108, 8),
    gid: number('gid', 116, 8),
    size: number('size', 124, 12),
    mtimeNs: nanoseconds(pax.get('mtime')?.toString('latin1') ?? String(numberAt(block, 136, 12))),
    user: words('uname', textAt(block, 265, 32)),
    group: words('gname', textAt(block, 297, 32)),
    device: { major: numberAt(block, 329, 8), minor: numberAt(block, 337, 8) },
    xattrs: [...pax]
      .filter(([key]) => key.startsWith(xattrKey))
      .map(([key, value]) => ({ name: key.slice(xattrKey.length), value })),
  };
}

const xattrKey = 'SCHILY.xattr.';

/** Records `LENGTH KEY=VALUE\n`, the length that of the whole record. */
export function parsePax(content: Buffer): PaxRecords {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(32, at);
    const length = Number(content.toString('latin1', at, space));
    const equals = content.indexOf(61, space);
    const end = at + length;
    if (space < 0 || equals < 0 || !(length > 0) || end > content.length || equals >= end) throw notTar();
    records.set(content.toString('utf8', space + 1, equals), content.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

export function notTar(cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: 'the container engine sent something else than an archive, or only a part of one',
    remedy: 'Check that the container engine was not restarted; run it again.',
    retry: 'now',
    cause,
  });
}

function checkSum(block: Buffer): void {
  let sum = 0;
  for (let at = 0; at < blockBytes; at++) sum += at >= 148 && at < 156 ? 32 : block[at];
  if (sum !== numberAt(block, 148, 8)) throw notTar();
}

function textAt(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return decodeName(end < 0 ? field : field.subarray(0, end));
}

function decoded(value: Buffer | undefined): string | undefined {
  return value && decodeName(value);
}

/** Octal digits, or (GNU) base 256 where the first bit is set. */
function numberAt(block: Buffer, at: number, length: number): number {
  if (block[at] & 0x80) {
    let value = block[at] & 0x40 ? -1n : 0n;
    value = (value << 6n) | BigInt(block[at] & 0x3f);
    for (let next = at + 1; next < at + length; next++) value = (value << 8n) | BigInt(block[next]);
    return Number(value);
  }
  const digits = block
    .toString('latin1', at, at + length)
    .replaceAll('\0', ' ')
    .trim();
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** Decimal seconds, a fraction of up to nine digits with them. */
function nanoseconds(text: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text);
  if (!match) throw notTar();
  const [, sign, whole, fraction = ''] = match;
  const ns = BigInt(whole) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign ? -ns : ns;
}
