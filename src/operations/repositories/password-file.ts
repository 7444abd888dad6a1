/**
 * Replaces the password in the file a configuration names, so that at every moment the file holds a password that opens.
 *
 * `FILE.holdfast-new` (the password to come) → keys are added for it → FILE is linked to `FILE.holdfast-old`, the new one
 * takes its name → keys of the old one are removed → `FILE.holdfast-old` is removed. What is there says where an interrupted
 * change stopped; the names are such that no file of a person is taken for one of them.
 */
import { chmod, chown, link, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { readSecret } from '../../config/index.ts';
import { writeNew } from '../new-file.ts';

export class PasswordFile {
  /** Where links lead to. */
  readonly path: string;

  readonly #fresh: string;
  readonly #retired: string;

  private constructor(path: string) {
    this.path = path;
    this.#fresh = `${path}.holdfast-new`;
    this.#retired = `${path}.holdfast-old`;
  }

  /** `secret.unavailable` if it does not exist. */
  static async at(path: string): Promise<PasswordFile> {
    return new PasswordFile(await realpath(path).catch(() => path));
  }

  async current(): Promise<Secret> {
    return await readFileSecret(this.path);
  }

  /** The password to come, if a change was begun and had not got to the swap. */
  async pending(): Promise<Secret | undefined> {
    return await ifThere(this.#fresh);
  }

  /** The password before, if a change was interrupted after the swap. */
  async retired(): Promise<Secret | undefined> {
    const before = await ifThere(this.#retired);
    if (before === undefined || before.reveal() !== (await this.current()).reveal()) return before;
    // Linked, but not swapped yet.
    await rm(this.#retired);
    return undefined;
  }

  /** Writes the password to come beside the file, readable by whom the file is. `usage.invalid` where that cannot be. */
  async prepare(password: Secret): Promise<void> {
    const file = this.#fresh;
    try {
      await writeNew(file, `${password.reveal()}\n`, 0o600);
      const { uid, gid, mode } = await stat(this.path);
      const made = await stat(file);
      if (made.uid !== uid || made.gid !== gid) await chown(file, uid, gid);
      await chmod(file, mode & 0o777);
      await flush(dirname(file));
    } catch (cause) {
      throw new HoldfastError({
        code: 'usage.invalid',
        message: `the new password cannot be written beside ${this.path}: ${messageOf(cause)}`,
        remedy: 'Nothing was changed. Where that file is not yours to write, use: holdfast repo key passwd',
        cause,
      });
    }
  }

  /** From here on the file holds the new password. */
  async swap(): Promise<void> {
    await link(this.path, this.#retired);
    await rename(this.#fresh, this.path);
    await flush(dirname(this.path));
  }

  /** The last step: the password before is gone. */
  async finish(): Promise<void> {
    await rm(this.#retired, { force: true });
  }
}

async function flush(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

async function ifThere(path: string): Promise<Secret | undefined> {
  try {
    await stat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return await readFileSecret(path);
}

async function readFileSecret(path: string): Promise<Secret> {
  const noPrograms = (): never => {
    throw new Error('a file is read without any program');
  };
  return await readSecret({ from: 'file', path }, 'the repository', { env: {}, run: noPrograms });
}
