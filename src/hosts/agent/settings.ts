/** What an entry of `hosts:` with the key `agent` may say. */
import { z } from 'zod';

export const agentSettings = z.strictObject({
  agent: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error: 'is not a name of an agent' })
    .describe('The name it was enrolled with: holdfast agent enrol NAME.'),
});

export type AgentSettings = z.infer<typeof agentSettings>;
