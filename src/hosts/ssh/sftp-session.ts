/** The one SFTP session of a host, opened when it is first needed and again after it broke. */
import type { Duplex } from 'node:stream';
import { HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import { SftpClient } from '../../protocols/sftp/client.ts';
import type { Links } from '../../protocols/ssh/links.ts';

export class SftpSession {
  readonly #links: Links;
  readonly #host: string;
  #opening: Promise<SftpClient> | undefined;

  constructor(links: Links, host: string) {
    this.#links = links;
    this.#host = host;
  }

  /** `host.unreachable`; `host.command-missing` if the server transfers no files. */
  async get(): Promise<SftpClient> {
    const known = await this.#opening?.catch(() => undefined);
    if (known && !known.broken) return known;
    if (!known || known.broken) this.#opening = undefined;
    this.#opening ??= this.#open();
    return await this.#opening;
  }

  async close(): Promise<void> {
    const client = await this.#opening?.catch(() => undefined);
    client?.close();
  }

  async #open(): Promise<SftpClient> {
    const { channel, link } = await this.#links.session((one) => one.subsystem('sftp'));
    try {
      return await SftpClient.open(channel as Duplex, () => link.lost);
    } catch (cause) {
      channel.close();
      if (link.lost) throw link.lost;
      if (hasCode(cause, 'host.unreachable')) throw cause;
      throw new HoldfastError({
        code: 'host.command-missing',
        message: `host ${this.#host} transfers no files: its SFTP server does not start (${messageOf(cause)})`,
        remedy: 'Enable «Subsystem sftp internal-sftp» in its sshd_config, and see that no login file prints anything.',
        cause,
      });
    }
  }
}
