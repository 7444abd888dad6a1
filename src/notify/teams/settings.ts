/** What may stand in an entry with `teams:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

export const settings = z.strictObject({
  teams: secretSetting(
    'The address of a workflow «when a Teams webhook request is received», which is a secret: it holds a signature.',
  ),
});

export type Settings = z.infer<typeof settings>;
