/** What a suite found, as plain JSON. */
import { z } from 'zod';
import { messageOf } from '../../base/errors.ts';

export const caseView = z.object({
  id: z.string(),
  why: z.string(),
  passed: z.boolean(),
  durationMs: z.number(),
  message: z.string().optional(),
});
export type CaseView = z.infer<typeof caseView>;

export function viewCase(result: {
  readonly id: string;
  readonly why: string;
  readonly passed: boolean;
  readonly durationMs: number;
  readonly error?: unknown;
}): CaseView {
  const { id, why, passed, durationMs, error } = result;
  return { id, why, passed, durationMs: Math.round(durationMs), ...(passed ? {} : { message: messageOf(error) }) };
}
