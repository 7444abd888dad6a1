/** The one file of a snapshot. */
import { HoldfastError } from '../../base/errors.ts';
import type { Node } from '../../model/node.ts';
import type { SnapshotContents } from '../driver.ts';
import { outputFolder } from './backup.ts';

/** Found whatever its name: the settings may have changed since. `snapshot.path-missing`. */
export async function outputNode(contents: SnapshotContents): Promise<{ path: string; node: Node }> {
  const folder = await contents.node(`/${outputFolder}`);
  const nodes = folder?.type === 'dir' ? await contents.children(`/${outputFolder}`) : [];
  const files = nodes.filter((node) => node.type === 'file');
  if (files.length === 1) return { path: `/${outputFolder}/${files[0].name}`, node: files[0] };
  throw new HoldfastError({
    code: 'snapshot.path-missing',
    message: `snapshot ${contents.id.slice(0, 8)} holds ${files.length} files in /${outputFolder} instead of one`,
    remedy: 'Choose a snapshot of this source.',
  });
}
