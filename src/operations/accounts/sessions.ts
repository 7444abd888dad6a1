/** Where somebody is signed in. */
import { z } from 'zod';
import { accountByName, listSessions } from '../../auth/index.ts';
import { operation } from '../operation.ts';
import { type AccountUses, userName } from './account-view.ts';

const sessions = z.object({
  sessions: z.array(
    z.object({
      id: z.string(),
      createdAtMs: z.number(),
      seenAtMs: z.number(),
      expiresAtMs: z.number(),
      method: z.string(),
      address: z.string(),
      agent: z.string(),
    }),
  ),
});
export type SessionsOutput = z.infer<typeof sessions>;

export const listUserSessions = operation({
  name: 'user sessions',
  permission: 'admin',
  input: z.object({ name: userName }),
  output: sessions,
  run: async ({ name }: { name: string }, uses: AccountUses): Promise<SessionsOutput> => {
    const { id } = await accountByName(name, uses.catalogue.db);
    return { sessions: await listSessions(id, uses) };
  },
});
