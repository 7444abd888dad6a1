/** What may stand under `rclone:` of a repository. */
import { z } from 'zod';
import { secretSetting } from '../../../base/secret-reference.ts';

const variable = z.string().regex(/^[A-Z][A-Z0-9_]*$/, { error: 'is no name of an environment variable' });
const option = z
  .string()
  .regex(/^--[a-z0-9-]+(=[^\0]*)?$/, { error: 'is no option: write --name or --name=value' })
  .refine((text) => !/^--[a-z0-9-]*(?:pass|secret|token|key|sas|credential|auth)[a-z0-9-]*=/.test(text), {
    error: 'would show a secret in the list of processes: give it as RCLONE_… under secrets',
  });

export const rcloneSettings = z.strictObject({
  program: z.string().min(1).default('rclone').describe('The program. Default: rclone, from PATH.'),
  config: z
    .string()
    .min(1)
    .optional()
    .describe('The file with its remotes. Default: RCLONE_CONFIG, or where rclone keeps it.'),
  configPassword: secretSetting('The password of that file, if it is encrypted.').optional(),
  env: z.record(variable, z.string()).optional().describe('Environment variables of rclone, in the clear.'),
  secrets: z
    .record(variable, secretSetting('a secret: { file: /path }, { env: NAME } or { command: [program, argument] }'))
    .optional()
    .describe('Environment variables of rclone that are secrets, e.g. RCLONE_CONFIG_NAS_PASS.'),
  options: z.array(option).default([]).describe('Further options of rclone serve restic, e.g. --bwlimit=10M.'),
  connections: z.int().min(1).max(64).default(8).describe('Requests at once. Default: 8.'),
  timeoutSeconds: z
    .number()
    .positive()
    .max(3600)
    .default(300)
    .describe('How long rclone may be silent; it tries again itself meanwhile. Default: 300.'),
});

export type RcloneSettings = z.infer<typeof rcloneSettings>;
