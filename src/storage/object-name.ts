/** Which names a storage accepts. Checked by every implementation before it touches anything. */
import { HoldfastError } from '../base/errors.ts';

/** Longest part between slashes (NAME_MAX of common file systems) and longest name (below S3's 1,024 bytes, leaving room for a prefix). */
const maxPart = 255;
const maxName = 900;

/**
 * A name is parts of `[A-Za-z0-9._-]` joined by `/`. A part never begins with a dot: that rules out `.` and `..`, and
 * leaves dot names to file systems that invent them (`.nfs…`, `.snapshot`, `.DS_Store`).
 */
export function isObjectName(name: string): boolean {
  if (name.length > maxName) return false;
  return name.split('/').every((part) => part.length <= maxPart && /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(part));
}

/** Throws `internal` for a name no storage accepts: names are made by the program, so a bad one is a fault of it. */
export function checkObjectName(name: string): void {
  if (isObjectName(name)) return;
  throw new HoldfastError({
    code: 'internal',
    message: `${JSON.stringify(name.slice(0, maxName))} is not a name a storage accepts`,
    remedy: 'Report this as a fault of Holdfast; nothing was read or written.',
  });
}
