/** How the outcome of a suite reads. */
import { formatDuration } from '../base/bytes.ts';
import type { CaseView } from '../operations/repositories/check-view.ts';

export function checkText(cases: readonly CaseView[], where: string): string {
  const lines = cases.map((one) =>
    one.passed ? `✓ ${one.id} (${formatDuration(one.durationMs)})` : `✗ ${one.id}: ${one.message}\n    ${one.why}`,
  );
  return [...lines, `${cases.filter((one) => one.passed).length} of ${cases.length} passed ${where}`].join('\n');
}
