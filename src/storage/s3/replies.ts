/** Reads the small flat XML documents S3 services answer with. Whatever is not there is `undefined`: nothing here throws. */

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

/** A page of `ListObjectsV2`; `undefined` if it is none. */
export function listPageOf(xml: string): ListPage | undefined {
  if (!/<(?:[\w-]+:)?ListBucketResult[\s>/]/.test(xml)) return undefined;
  const escaped = textOf(xml, 'EncodingType') === 'url';
  const objects = elementsOf(xml, 'Contents').flatMap((entry) => {
    const key = textOf(entry, 'Key');
    const sizeBytes = Number(textOf(entry, 'Size') ?? Number.NaN);
    return key === undefined || !Number.isSafeInteger(sizeBytes)
      ? []
      : [{ key: escaped ? fromUrl(key) : key, sizeBytes }];
  });
  return {
    objects,
    truncated: textOf(xml, 'IsTruncated')?.toLowerCase() === 'true',
    next: textOf(xml, 'NextContinuationToken'),
  };
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
