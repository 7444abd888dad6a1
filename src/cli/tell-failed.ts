/** Names the repositories that could not be asked, beside what the others answered. */
import type { Face } from './face.ts';

export function tellFailed(
  failed: readonly { readonly repository: string; readonly message: string; readonly remedy: string }[],
  face: Face,
): void {
  for (const one of failed) face.screen.say(`✗ ${one.repository}: ${one.message}\n    ${one.remedy}`);
}
