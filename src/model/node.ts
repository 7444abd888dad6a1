/**
 * A file system object as a snapshot keeps it. Mirrors restic's node (design.rst, "Trees and Data"), in the units of this
 * program: `mode` is POSIX st_mode permission bits incl. setuid/setgid/sticky (0o7777), the type stands apart; times are
 * nanoseconds since the epoch. Names follow `base/names.ts`.
 */
export type NodeType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket' | 'irregular';

export interface ExtendedAttribute {
  readonly name: string;
  readonly value: Uint8Array;
}

/** What is known of an object without reading its content. */
export interface NodeAttributes {
  readonly name: string;
  readonly type: NodeType;
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly atimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly user?: string;
  readonly group?: string;
  readonly inode: bigint;
  /** st_dev; stored only where hard links have to be told apart. */
  readonly deviceId: bigint;
  /** Bytes of a file; 0 for everything else. */
  readonly size: number;
  /** Names of a file, symlink or device; 0 for everything else, as restic keeps it. */
  readonly links: number;
  readonly linkTarget?: string;
  readonly xattrs?: readonly ExtendedAttribute[];
  /** st_rdev of a device node. */
  readonly device?: bigint;
}

/** Blob ids one after another, 32 bytes each: a list of a million ids is one buffer, not a million strings. */
export type PackedIds = Uint8Array;
export const idBytes = 32;

/** A field this program does not know, kept so that rewriting loses nothing. */
export interface OtherField {
  readonly name: string;
  /** The value as it was written. */
  readonly json: string;
}

export interface Node extends NodeAttributes {
  /** For a file: its blobs in order. */
  readonly content?: PackedIds;
  /** For a directory: the tree's blob id, lower-case hex. */
  readonly subtree?: string;
  /** What other programs store of it, e.g. `generic_attributes`: what Windows knows of a file. In the order of the tree. */
  readonly otherFields?: readonly OtherField[];
}
