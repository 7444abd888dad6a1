/** Who signs in, and with what. Only what the settings name is ever offered to a server. */
import ssh2, { type AnyAuthMethod, type ParsedKey } from 'ssh2';
import { HoldfastError } from '../../base/errors.ts';
import type { ReadSecret } from '../../base/secret-reference.ts';
import type { Secret } from '../../base/secrets.ts';
import type { SignInSettings } from './settings.ts';

export interface Credentials {
  /** In the order in which they are tried, for any user. */
  methods(user: string): AnyAuthMethod[];
  /** For people: `the key SHA256:…, a password`. */
  readonly title: string;
}

type Offer = Pick<SignInSettings, 'key' | 'passphrase' | 'password' | 'agent'>;

/** Reads the secrets. `secret.unavailable`. */
export async function readCredentials(name: string, settings: Offer, secret: ReadSecret): Promise<Credentials> {
  const key = settings.key && (await readKey(name, settings, secret));
  const password = settings.password && (await secret(settings.password, `the password of host ${name}`));
  const wantsAgent = settings.agent ?? (!key && !password);
  const agent = wantsAgent ? agentSocket(name) : undefined;
  const title = [
    key && `the key ${key.comment || key.type}`,
    agent && 'the keys of the agent',
    password && 'a password',
  ];
  return {
    title: title.filter(Boolean).join(', '),
    methods: (user) => [
      ...(key ? [{ type: 'publickey' as const, username: user, key }] : []),
      ...(agent ? [{ type: 'agent' as const, username: user, agent }] : []),
      ...(password ? passwordMethods(user, password) : []),
    ],
  };
}

/** Many servers (PAM) ask for the password as a question of their own. */
function passwordMethods(username: string, password: Secret): AnyAuthMethod[] {
  return [
    { type: 'password', username, password: password.reveal() },
    {
      type: 'keyboard-interactive',
      username,
      prompt: (_name, _instructions, _language, prompts, finish) => {
        // one hidden question is the password; anything else is a second factor, which nobody is here to give
        finish(prompts.map((prompt) => (prompt.echo === false && prompts.length === 1 ? password.reveal() : '')));
      },
    },
  ];
}

async function readKey(name: string, settings: Offer, secret: ReadSecret): Promise<ParsedKey> {
  const text = await secret(settings.key!, `the key of host ${name}`);
  const passphrase = settings.passphrase && (await secret(settings.passphrase, `the passphrase of host ${name}`));
  const parsed = ssh2.utils.parseKey(text.reveal(), passphrase?.reveal());
  const key = Array.isArray(parsed) ? (parsed[0] as ParsedKey) : parsed;
  if (key instanceof Error) throw unusable(name, key, passphrase !== undefined);
  if (!key.isPrivateKey()) {
    throw unavailable(`the key of host ${name} is a public key`, 'Name the private key: the file without .pub.');
  }
  return key;
}

function unusable(name: string, cause: Error, hasPassphrase: boolean): HoldfastError {
  // ssh2 knows its reasons only by their words
  if (/no passphrase given/i.test(cause.message)) {
    return unavailable(
      `the key of host ${name} is protected by a passphrase, and none is given`,
      'Add «passphrase», or let an agent hold the key: agent: true.',
    );
  }
  if (hasPassphrase && /passphrase|integrity|decrypt/i.test(cause.message)) {
    return unavailable(`the passphrase of the key of host ${name} is wrong`, 'Correct «passphrase».');
  }
  return unavailable(
    `the key of host ${name} cannot be used: it is no private key of a kind that is supported`,
    'Use a key made by ssh-keygen (ed25519, ecdsa or rsa). Keys on security tokens work through an agent: agent: true.',
  );
}

function agentSocket(name: string): string {
  const socket = process.env.SSH_AUTH_SOCK;
  if (socket) return socket;
  throw unavailable(
    `host ${name} is to be reached with the keys of an agent, and there is none: SSH_AUTH_SOCK is not set`,
    'Name a private key: key: { file: ~/.ssh/id_ed25519 }. Or start Holdfast where an agent runs.',
  );
}

function unavailable(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'secret.unavailable', message, remedy });
}
