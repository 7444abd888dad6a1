/** How to sign in to an SSH server, as operators write it: the same keys for hosts and for storages. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

export const hostKeyForm = /^(?:SHA256:[A-Za-z0-9+/]{43}=?|[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}(?: .*)?)$/;

/** Fields for a schema. What is reached, and through what, its owner says. */
export const signInFields = {
  key: secretSetting('A private key, usually { file: ~/.ssh/id_ed25519 }. Only this key is offered.').optional(),
  passphrase: secretSetting('The passphrase of the private key, if it has one.').optional(),
  password: secretSetting('The password of the user, where the server wants one.').optional(),
  agent: z
    .boolean()
    .optional()
    .describe('Offer the keys of the agent at SSH_AUTH_SOCK. Default: only if there is neither key nor password.'),
  knownHosts: z
    .string()
    .refine((path) => /^(?:~\/|\/)/.test(path), { error: 'is no absolute path' })
    .optional()
    .describe('The file of known host keys. Default: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts.'),
  hostKey: z
    .string()
    .regex(hostKeyForm, { error: 'is neither a key («ssh-ed25519 AAAA…») nor a fingerprint («SHA256:…»)' })
    .optional()
    .describe('The only host key to accept: «ssh-ed25519 AAAA…» or «SHA256:…». No file of known hosts is read then.'),
};

const signIn = z.object(signInFields);

export type SignInSettings = z.infer<typeof signIn>;
