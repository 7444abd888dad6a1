/** Check the configuration; with `secrets`, also that every secret it names can be read. */
import { z } from 'zod';
import { readSecret } from '../../config/index.ts';
import { describeError } from '../describe-error.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';

const input = z.object({ secrets: z.boolean().default(false) });
const problem = z.object({
  level: z.enum(['error', 'warning']),
  kind: z.string().optional(),
  file: z.string(),
  line: z.number(),
  column: z.number(),
  path: z.string(),
  message: z.string(),
  remedy: z.string(),
});
const output = z.object({
  file: z.string(),
  ok: z.boolean(),
  repositories: z.array(z.string()),
  policies: z.array(z.string()),
  hosts: z.array(z.string()),
  sources: z.array(z.string()),
  warnings: z.array(problem),
  /** Entries of labels, and those made over the API, that are not used. */
  leftOut: z.array(problem),
  restores: z.array(z.string()),
  notifications: z.array(z.string()),
  users: z.array(z.string()),
  secrets: z.array(
    z.object({
      owner: z.string(),
      from: z.string(),
      ok: z.boolean(),
      message: z.string().optional(),
      remedy: z.string().optional(),
    }),
  ),
});
export type ValidateOutput = z.infer<typeof output>;

export const validate = operation({
  name: 'validate',
  permission: 'viewer',
  input,
  output,
  run: async ({ secrets }: z.infer<typeof input>, uses: SourceAccess & Execution): Promise<ValidateOutput> => {
    const { config } = uses;
    const checked = secrets ? await checkSecrets(uses) : [];
    return {
      file: config.file,
      ok: checked.every((secret) => secret.ok) && config.leftOut.length === 0,
      repositories: [...config.repositories.keys()],
      policies: [...config.policies.keys()],
      hosts: [...config.hosts.keys()],
      sources: [...config.sources.keys()],
      restores: [...config.restores.keys()],
      notifications: [...config.notifications.keys()],
      users: [...config.users.keys()],
      warnings: config.warnings.map((warning) => ({ ...warning })),
      leftOut: config.leftOut.map((one) => ({ ...one })),
      secrets: checked,
    };
  },
});

async function checkSecrets({
  config,
  env,
  signal,
  localHost,
}: SourceAccess & Execution): Promise<ValidateOutput['secrets']> {
  const checked: ValidateOutput['secrets'] = [];
  for (const { name, password } of config.repositories.values()) {
    const owner = `repository ${name}`;
    try {
      await readSecret(password, owner, { env, signal, run: (command) => localHost().run(command) });
      checked.push({ owner, from: password.from, ok: true });
    } catch (error) {
      const { code, message, remedy } = describeError(error);
      if (code === 'cancelled') throw error;
      checked.push({ owner, from: password.from, ok: false, message, remedy });
    }
  }
  return checked;
}
