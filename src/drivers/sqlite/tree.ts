/** Where a captured database lies in a snapshot: at its full path. */
import type { Host } from '../../hosts/host.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { ContentLayout, Entry } from '../driver.ts';
import { type ByteStream, directoryEntry, streamEntry } from '../entries.ts';

export interface Content {
  readonly layout: ContentLayout;
  /** Expected bytes; what `stream` gives decides. */
  readonly sizeBytes: number;
  readonly stream: () => ByteStream | Promise<ByteStream>;
}

export interface Where {
  readonly host: Host;
  /** The name without symbolic links. */
  readonly resolve: (path: string) => Promise<string>;
}

/** The directories that lead to `path` (symlinks followed, named as asked for), and the file with the given content in the last. */
export async function entryAt({ host, resolve }: Where, path: string, content: Content): Promise<Entry> {
  const names = path.split('/').slice(1);
  let at = '';
  const attributes: NodeAttributes[] = [];
  for (const name of names) {
    at = `${at}/${name}`;
    attributes.push({ ...(await host.files.attributes(await resolve(at))), name });
  }
  const own = { ...attributes[attributes.length - 1], size: content.sizeBytes };
  const file: Entry = streamEntry(own, content.layout, content.stream);
  return attributes.slice(0, -1).reduceRight<Entry>((child, parent) => directoryEntry(parent, [child]), file);
}
