/** Names of a repository's files (restic design.rst, "Repository Layout") and of what Holdfast keeps beside them. */

/** Folders of sealed JSON files, named by the SHA-256 of the stored bytes. */
export type UnpackedFolder = 'keys' | 'locks' | 'snapshots' | 'index' | 'proofs' | 'readings';

export const configName = 'config';

export function unpackedName(folder: UnpackedFolder, id: string): string {
  return `${folderName(folder)}/${id}`;
}

/** The folder to list for a kind of file. */
export function folderName(folder: UnpackedFolder): string {
  return folder === 'proofs' || folder === 'readings' ? `holdfast/${folder}` : folder;
}

export const packsFolder = 'data';

export function packName(id: string): string {
  return `data/${id.slice(0, 2)}/${id}`;
}

/** A pin is an empty object named after its snapshot: pinning changes no snapshot and needs no lock. */
export const pinsFolder = 'holdfast/pins';

export function pinName(snapshotId: string): string {
  return `${pinsFolder}/${snapshotId}`;
}

/** The id in a stored name; `undefined` for anything that is not named by 64 lower-case hex digits. */
export function idInName(name: string): string | undefined {
  const last = name.slice(name.lastIndexOf('/') + 1);
  return /^[0-9a-f]{64}$/.test(last) ? last : undefined;
}

/** True for what comes and goes with each run: locks. Nothing else may be removed while somebody may want it back. */
export function isPassing(name: string): boolean {
  return name.startsWith('locks/');
}
