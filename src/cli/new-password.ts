/** The new password of an account: from a file, typed twice, or piped in. Never from the arguments, which every process can read. */
import { readFile } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { askPassword } from './ask-password.ts';

const remedy = 'Type it, pipe it in, or name the file that holds it: --password-file FILE.';

/** `secret.unavailable`, `cancelled`. */
export async function newPassword(name: string, { passwordFile }: { readonly passwordFile?: string }): Promise<string> {
  if (passwordFile !== undefined) return await fromFile(passwordFile);
  const streams = { input: process.stdin, prompts: process.stderr, remedy };
  const first = (await askPassword(`new password of ${name}: `, streams)).reveal();
  if (!process.stdin.isTTY) return first;
  if ((await askPassword('the same again: ', streams)).reveal() === first) return first;
  throw new HoldfastError({
    code: 'secret.unavailable',
    message: 'the two passwords are not the same',
    remedy: 'Nothing was changed. Try again.',
  });
}

async function fromFile(path: string): Promise<string> {
  try {
    const text = (await readFile(path, 'utf8')).replace(/[\r\n]+$/, '');
    if (text !== '') return text;
  } catch (cause) {
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the password cannot be read: ${messageOf(cause)}`,
      remedy,
      cause,
    });
  }
  throw new HoldfastError({ code: 'secret.unavailable', message: `${path} is empty`, remedy });
}
