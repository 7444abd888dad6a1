/** List what is in a snapshot. */
import { z } from 'zod';
import { listContents } from '../../engine/list.ts';
import { type Emitting, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { type NodeView, viewNode } from './node-view.ts';
import { openFound } from './opened-contents.ts';

const input = z.object({
  snapshot: z.string(),
  path: z.string().default('/'),
  /** Only what lies in the directory itself. */
  flat: z.boolean().default(false),
  repository: z.string().optional(),
});
const output = z.object({ snapshot: z.string(), repository: z.string(), count: z.number() });

/** Entries are emitted while the trees are read. */
export const ls = operation({
  name: 'ls',
  permission: 'restorer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: RepositoryAccess & Execution & Emitting<NodeView>) => {
    await using opened = await openFound(request.snapshot, request.repository, uses);
    const options = { path: request.path, recursive: !request.flat, signal: uses.signal };
    let count = 0;
    for await (const { path, node } of listContents(opened.contents, options)) {
      await uses.emit(viewNode(path, node));
      count++;
    }
    return { snapshot: opened.snapshot.id, repository: opened.found.opened.name, count };
  },
});
