/** One object of a snapshot on one line, as `ls -l` shows it. */
import { printableName } from '../base/names.ts';
import type { NodeView } from '../operations/snapshots/node-view.ts';

const letters: Readonly<Record<string, string>> = {
  file: '-',
  dir: 'd',
  symlink: 'l',
  dev: 'b',
  chardev: 'c',
  fifo: 'p',
  socket: 's',
};

export function nodeLine(node: NodeView): string {
  const owner = `${node.user ?? node.uid} ${node.group ?? node.gid}`;
  const link = node.linkTarget === undefined ? '' : ` -> ${printableName(node.linkTarget)}`;
  const size = node.type === 'file' ? String(node.size) : '-';
  const time = node.mtime.slice(0, 19).replace('T', ' ');
  return `${modeText(node)} ${printableName(owner)} ${size.padStart(12)} ${time} ${printableName(node.path)}${link}`;
}

function modeText({ type, mode }: NodeView): string {
  const bits = Number.parseInt(mode, 8);
  const triple = (shift: number, special: number, letter: string): string => {
    const part = bits >> shift;
    const execute = part & 1 ? 'x' : '-';
    const marked = bits & special ? (part & 1 ? letter : letter.toUpperCase()) : execute;
    return `${part & 4 ? 'r' : '-'}${part & 2 ? 'w' : '-'}${marked}`;
  };
  return `${letters[type] ?? '?'}${triple(6, 0o4000, 's')}${triple(3, 0o2000, 's')}${triple(0, 0o1000, 't')}`;
}
