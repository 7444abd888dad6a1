/** Names a restore gives for a while: they stay when Holdfast is killed, or its machine. */

/** Ends the name of a database that is being filled. */
export const makingSuffix = '_restoring_';
/** Ends the name of one that is about to be dropped. */
export const replacedSuffix = '_replaced_';

const making = new RegExp(`${makingSuffix}[0-9a-f]{8}(?:_\\d+)?$`);
const replaced = new RegExp(`${replacedSuffix}[0-9a-f]{8}(?:_\\d+)?$`);

/** True for one that is not complete. */
export function isHalfRestored(name: string): boolean {
  return making.test(name);
}

/** For people; `undefined` if it has no such name. */
export function leftoverWords(name: string): string | undefined {
  if (making.test(name))
    return `the database ${name} is half restored: unless a restore is filling it now, one was broken off; then drop it`;
  if (replaced.test(name))
    return `the database ${name} is what a restore with --overwrite replaced and did not drop: unless one is going on now, drop it when you need it no more`;
  return undefined;
}
