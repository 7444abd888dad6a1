/** An object in a snapshot as programs see it. */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import type { Node } from '../../model/node.ts';

export const nodeView = z.object({
  /** Bytes that are not UTF-8 stand as lone surrogates U+DC80–U+DCFF. */
  path: z.string(),
  type: z.string(),
  /** Permission bits in octal, with setuid, setgid and sticky. */
  mode: z.string(),
  size: z.number(),
  mtime: z.string(),
  uid: z.number(),
  gid: z.number(),
  user: z.string().optional(),
  group: z.string().optional(),
  linkTarget: z.string().optional(),
});
export type NodeView = z.infer<typeof nodeView>;

export function viewNode(path: string, node: Node): NodeView {
  return {
    path,
    type: node.type,
    mode: node.mode.toString(8).padStart(4, '0'),
    size: node.size,
    mtime: formatTime(node.mtimeNs),
    uid: node.uid,
    gid: node.gid,
    ...(node.user ? { user: node.user } : {}),
    ...(node.group ? { group: node.group } : {}),
    ...(node.linkTarget === undefined ? {} : { linkTarget: node.linkTarget }),
  };
}

/** Any time a file may carry; one beyond what a calendar can say is given in nanoseconds. */
function formatTime(epochNs: bigint): string {
  const ms = Number(epochNs / 1_000_000n);
  return Math.abs(ms) <= 8.64e15 ? formatInstant(ms) : `${epochNs} ns`;
}
