/** Releases of MongoDB: `7.0.5`. */

export interface Release {
  readonly major: number;
  readonly minor: number;
  readonly text: string;
}

/** From what `mongod --version` prints, or from a version alone. */
export function parseRelease(text: string): Release | undefined {
  const [, major, minor, patch] = /(?:db version v|^)(\d+)\.(\d+)\.(\d+\S*)/m.exec(text) ?? [];
  if (major === undefined) return undefined;
  return { major: Number(major), minor: Number(minor), text: `${major}.${minor}.${patch}` };
}

/** Negative if `a` is older. */
export function compareReleases(a: Release, b: Release): number {
  return a.major - b.major || a.minor - b.minor;
}
