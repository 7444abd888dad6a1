/** Reads the small flat XML documents S3 services answer with. Whatever is not there is `undefined`: nothing here throws. */
import { parseInstant } from '../../base/clock.ts';

/** The text of the first element of that name. */
export function textOf(xml: string, name: string): string | undefined {
  const match = new RegExp(`<(?:[\\w-]+:)?${name}(?:\\s[^>]*)?>([^<]*)</`).exec(xml);
  return match ? unescapeXml(match[1]) : undefined;
}

/** The insides of every element of that name, none of which lies in another one. */
export function elementsOf(xml: string, name: string): string[] {
  const pattern = new RegExp(`<(?:[\\w-]+:)?${name}(?:\\s[^>]*)?>([\\s\\S]*?)</(?:[\\w-]+:)?${name}>`, 'g');
  return [...xml.matchAll(pattern)].map((match) => match[1]);
}

export interface ServiceError {
  readonly code?: string;
  readonly message?: string;
  readonly region?: string;
}

/** The `<Error>` of a body; also of one that came with status 200, as of a completed upload that failed after all. */
export function serviceErrorOf(body: Uint8Array): ServiceError | undefined {
  if (body.byteLength === 0 || body.byteLength > 65_536) return undefined;
  const xml = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  if (!/<(?:[\w-]+:)?Error[\s>]/.test(xml)) return undefined;
  return { code: textOf(xml, 'Code'), message: textOf(xml, 'Message'), region: textOf(xml, 'Region') };
}

export interface ListPage {
  readonly objects: readonly { readonly key: string; readonly sizeBytes: number }[];
  /** There are more pages; then `next` says where, unless the service does not know this way of listing. */
  readonly truncated: boolean;
  readonly next?: string;
}

/** A page of `ListObjectsV2`; `undefined` if it is none, or not a whole one: an entry that is passed over could be a snapshot that is thought to be gone. */
export function listPageOf(xml: string): ListPage | undefined {
  if (!isWhole(xml, 'ListBucketResult')) return undefined;
  const escaped = textOf(xml, 'EncodingType') === 'url';
  const entries = elementsOf(xml, 'Contents');
  const objects = entries.flatMap((entry) => {
    const key = textOf(entry, 'Key');
    const sizeBytes = Number(textOf(entry, 'Size') ?? Number.NaN);
    return key === undefined || !Number.isSafeInteger(sizeBytes)
      ? []
      : [{ key: escaped ? fromUrl(key) : key, sizeBytes }];
  });
  const truncated = textOf(xml, 'IsTruncated')?.toLowerCase();
  const whole = objects.length === entries.length && isCount(textOf(xml, 'KeyCount'), objects.length);
  if (!whole || !['true', 'false', undefined].includes(truncated)) return undefined;
  return {
    objects,
    truncated: truncated === 'true',
    next: textOf(xml, 'NextContinuationToken'),
  };
}

/** The document is of that kind and was not cut: what is missing at its end could be anything. */
function isWhole(xml: string, root: string): boolean {
  return new RegExp(`<(?:[\\w-]+:)?${root}(?:\\s[^>]*)?(?:/>|>[\\s\\S]*</(?:[\\w-]+:)?${root}>)\\s*$`).test(xml);
}

/** Services that give no count have said nothing wrong. */
function isCount(given: string | undefined, found: number): boolean {
  return given === undefined || given === String(found);
}

export interface VersionEntry {
  readonly key: string;
  readonly versionId: string;
  readonly sizeBytes: number;
  readonly storedAtMs: number;
  readonly isCurrent: boolean;
  readonly isRemoval: boolean;
  readonly tag?: string;
}

export interface VersionPage {
  readonly versions: readonly VersionEntry[];
  /** What to ask for to get the next page; absent: there is none. */
  readonly next?: Record<string, string>;
}

/** A page of `ListObjectVersions`; `undefined` if it is none, or if an entry of it is not understood. */
export function versionPageOf(xml: string): VersionPage | undefined {
  if (!isWhole(xml, 'ListVersionsResult')) return undefined;
  const escaped = textOf(xml, 'EncodingType') === 'url';
  const pattern = /<(Version|DeleteMarker)(?:\s[^>]*)?>([\s\S]*?)<\/\1>/g;
  const versions: VersionEntry[] = [];
  for (const [, kind, entry] of xml.matchAll(pattern)) {
    const version = versionOf(entry, kind === 'DeleteMarker', escaped);
    if (!version) return undefined;
    versions.push(version);
  }
  // Some list the marks of a page after its versions; a page holds whole keys or ends within one.
  versions.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  if (textOf(xml, 'IsTruncated')?.toLowerCase() !== 'true') return { versions };
  const [key, id] = [textOf(xml, 'NextKeyMarker'), textOf(xml, 'NextVersionIdMarker')];
  if (key === undefined) return undefined;
  const marker = { 'key-marker': escaped ? fromUrl(key) : key };
  return { versions, next: id === undefined || id === '' ? marker : { ...marker, 'version-id-marker': id } };
}

function versionOf(entry: string, isRemoval: boolean, escaped: boolean): VersionEntry | undefined {
  const [key, versionId] = [textOf(entry, 'Key'), textOf(entry, 'VersionId')];
  const storedAtMs = parseInstant(textOf(entry, 'LastModified') ?? '');
  const sizeBytes = isRemoval ? 0 : Number(textOf(entry, 'Size') ?? Number.NaN);
  if (key === undefined || versionId === undefined || storedAtMs === undefined) return undefined;
  if (!Number.isSafeInteger(sizeBytes)) return undefined;
  const isCurrent = textOf(entry, 'IsLatest') === 'true';
  const tag = textOf(entry, 'ETag');
  return { key: escaped ? fromUrl(key) : key, versionId, sizeBytes, storedAtMs, isCurrent, isRemoval, tag };
}

export interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
  /** RFC 3339, by the service's clock. */
  readonly initiated: string;
}

export function uploadsOf(xml: string): readonly UnfinishedUpload[] {
  const escaped = textOf(xml, 'EncodingType') === 'url';
  return elementsOf(xml, 'Upload').flatMap((entry) => {
    const [key, uploadId, initiated] = ['Key', 'UploadId', 'Initiated'].map((name) => textOf(entry, name));
    if (key === undefined || uploadId === undefined || initiated === undefined) return [];
    return [{ key: escaped ? fromUrl(key) : key, uploadId, initiated }];
  });
}

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(lt|gt|quot|apos|amp));/gi, (whole, hex, decimal, name) => {
    if (name) return entities[String(name).toLowerCase()] ?? whole;
    const point = hex ? Number.parseInt(hex, 16) : Number(decimal);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

function fromUrl(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
