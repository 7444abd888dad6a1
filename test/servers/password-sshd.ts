/** An SSH server that asks for a password, as sshd does with PAM, for which a test would need an account. It starts nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { makeKey, publicKey } from './sshd.ts';

export interface PasswordSshd extends AsyncDisposable {
  readonly port: number;
  readonly hostKey: string;
  /** The ways in which clients tried to sign in, in order. */
  readonly attempts: string[];
}

/** `question`: asks for it in words of its own. The password is `right`. */
export async function startPasswordSshd(folder: string, how: 'password' | 'question'): Promise<PasswordSshd> {
  const key = join(folder, `host-${how}`);
  makeKey(key);
  const attempts: string[] = [];
  const clients = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [readFileSync(key)] }, (client) => {
    clients.add(client);
    client.on('error', () => {}); // the client left
    client.on('close', () => clients.delete(client));
    client.on('authentication', (ask) => {
      attempts.push(ask.method);
      if (how === 'password' && ask.method === 'password' && ask.password === 'right') return ask.accept();
      if (how === 'question' && ask.method === 'keyboard-interactive') {
        return ask.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
          answers[0] === 'right' ? ask.accept() : ask.reject(),
        );
      }
      return ask.reject([how === 'password' ? 'password' : 'keyboard-interactive']);
    });
    client.on('session', (accept) => {
      const session = accept();
      session.on('exec', (_accept, reject) => reject());
      session.on('subsystem', (_accept: unknown, reject: () => void) => reject());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    hostKey: publicKey(key),
    attempts,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
