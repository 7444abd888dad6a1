/** This machine under another name: what a driver sees of it is what it sees of a host that is far away. */
import { HoldfastError } from '../../../base/errors.ts';
import type { FileReader, Host } from '../../../hosts/host.ts';
import type { NodeAttributes } from '../../../model/node.ts';

export interface FarTraits {
  /** Programs that are not installed there. */
  readonly without?: readonly string[];
  /** Times in whole seconds and no inodes, as plain SFTP gives them. */
  readonly coarse?: boolean;
  /** Called when a file is opened, and before each read of it. */
  readonly onOpen?: (path: string) => void;
  readonly onRead?: (path: string) => Promise<void> | void;
}

export function farHost(local: Host, traits: FarTraits = {}): Host {
  const seen = (attributes: NodeAttributes): NodeAttributes => (traits.coarse ? coarsened(attributes) : attributes);
  return {
    ...local,
    name: 'far',
    kind: 'far',
    files: {
      attributes: async (path) => seen(await local.files.attributes(path)),
      list: async (path, unreadable) => (await local.files.list(path, unreadable)).map(seen),
      open: async (path) => {
        traits.onOpen?.(path);
        return watched(await local.files.open(path), path, traits);
      },
    },
    run: async (command) => {
      if (traits.without?.includes(command.argv[0])) throw missing(command.argv[0]);
      return await local.run(command);
    },
  };
}

function watched(reader: FileReader, path: string, { onRead }: FarTraits): FileReader {
  return {
    attributes: () => reader.attributes(),
    close: () => reader.close(),
    read: async (into) => {
      await onRead?.(path);
      return await reader.read(into);
    },
  };
}

function coarsened(attributes: NodeAttributes): NodeAttributes {
  const second = 1_000_000_000n;
  const mtimeNs = (attributes.mtimeNs / second) * second;
  return { ...attributes, mtimeNs, ctimeNs: process.hrtime.bigint(), inode: 0n, deviceId: 0n };
}

function missing(program: string): HoldfastError {
  return new HoldfastError({
    code: 'host.command-missing',
    message: `the program ${program} was not found`,
    remedy: `Install ${program}.`,
  });
}
