/** Reads a page of `List Blobs`. */
import { readXml, XmlError } from '../../protocols/xml/reader.ts';

export interface BlobPage {
  readonly blobs: readonly { readonly name: string; readonly sizeBytes: number }[];
  /** Where the next page begins; absent after the last one. */
  readonly next?: string;
}

/** `XmlError` for an answer of which anything cannot be read: a blob that is left out would be taken for lost. */
export function readBlobPage(xml: string): BlobPage {
  const blobs: { name: string; sizeBytes: number }[] = [];
  const open: string[] = [];
  const found = new Map<string, string>();
  let isPage = false;
  for (const event of readXml(xml)) {
    if (event.kind === 'open') {
      open.push(event.name);
      isPage ||= open.length === 1 && event.name === 'EnumerationResults';
    } else if (event.kind === 'text') {
      const path = open.slice(1).join('/');
      found.set(path, (found.get(path) ?? '') + event.text);
    } else {
      if (open.join('/') === 'EnumerationResults/Blobs/Blob') blobs.push(blobOf(found));
      open.pop();
    }
  }
  if (!isPage) throw new XmlError('it is no list of blobs');
  return { blobs, next: found.get('NextMarker') || undefined };
}

/** Takes what was found of a blob. */
function blobOf(found: Map<string, string>): { name: string; sizeBytes: number } {
  const [nameAt, sizeAt] = ['Blobs/Blob/Name', 'Blobs/Blob/Properties/Content-Length'];
  const name = found.get(nameAt);
  const sizeBytes = Number(found.get(sizeAt)?.trim() || Number.NaN);
  found.delete(nameAt);
  found.delete(sizeAt);
  if (name === undefined || !Number.isSafeInteger(sizeBytes)) throw new XmlError('a blob has no name or size');
  return { name, sizeBytes };
}
