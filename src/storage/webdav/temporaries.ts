/**
 * Objects on their way, in one folder of the repository (`~holdfast`) that no object's name can have and restic never lists;
 * and who may make an object that must be new: the one whose folder MKCOL makes there, since servers make a folder only once,
 * while most of them look first and move afterwards.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { parseHttpDate } from '../retry.ts';
import { readFolder } from './folders.ts';
import type { WebdavServer } from './server.ts';
import { askingOf, refusal } from './webdav-errors.ts';

const folder = '~holdfast';
/** Who writes for a day on one object is gone; who makes one new object for three minutes, too. */
const abandonedAfterMs = 24 * 3_600_000;
const claimedForMs = 3 * 60_000;
const claimWaitMs = 100;
/** So often, some 30 s, before a claim whose answer was lost is taken for our own. */
const lostClaimWaits = 300;
/** Some servers answer who comes second by a moment as if he were not allowed to; who hears it again and again is not. */
const mostRefusals = 5;

export class Temporaries {
  readonly #server: WebdavServer;
  readonly #clock: Clock;
  #made: Promise<void> | undefined;

  constructor(server: WebdavServer, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
  }

  /** A name for an object on its way; the folder is there, and swept once per handle. */
  async next(signal: AbortSignal | undefined): Promise<string> {
    this.#made ??= this.#make(signal).catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    });
    await this.#made;
    return `${folder}/${randomBytes(12).toString('hex')}`;
  }

  /** The folder was removed by somebody: it is made again when it is needed next. */
  forget(): void {
    this.#made = undefined;
  }

  /** Runs `task` while nobody else makes the object `name`, who asks in the same way. */
  async alone<T>(name: string, signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    await this.next(signal);
    const claim = `${folder}/new-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
    await this.#obtain(claim, name, signal);
    try {
      return await task();
    } finally {
      await this.discard(`${claim}/`);
    }
  }

  /**
   * Until the claim is ours. Where the answer to our own MKCOL was lost, what is there may be ours: nobody else needs it for
   * so long, so it is given up then and asked for again.
   */
  async #obtain(claim: string, name: string, signal: AbortSignal | undefined): Promise<void> {
    let [refusals, waits] = [0, 0];
    let perhapsOurs = false;
    for (;;) {
      const answer = await this.#claim(claim, name, signal);
      if (answer === 'ours') return;
      if (answer instanceof HoldfastError && ++refusals >= mostRefusals) throw answer;
      perhapsOurs ||= answer === 'perhaps ours';
      if (perhapsOurs && ++waits > lostClaimWaits) {
        await this.discard(`${claim}/`);
        [perhapsOurs, waits] = [false, 0];
      }
      await this.#clock.sleep(claimWaitMs, { signal });
    }
  }

  /** Removes what is not needed any more; what cannot be removed now is swept later. */
  async discard(name: string): Promise<void> {
    const request = {
      method: 'DELETE',
      name,
      doing: 'tidy up',
      takes: [200, 202, 204, 404],
      regardless: true,
    } as const;
    await this.#server.ask(request).catch((error: unknown) => {
      if (!(error instanceof HoldfastError)) throw error;
    });
  }

  /**
   * Removes the folder for objects on their way, with what puts that were broken off left in it, where there is nothing
   * else: there is no repository, then, that needs it. Who puts for the first time at this moment makes it again.
   */
  async removeIfAlone(signal: AbortSignal | undefined): Promise<void> {
    const listing = await readFolder(this.#server, { name: '', doing: 'look what is left', signal });
    if (listing?.members.some(({ name }) => name !== folder)) return;
    this.forget();
    await this.discard(`${folder}/`);
  }

  async #make(signal: AbortSignal | undefined): Promise<void> {
    const doing = 'make a folder for objects on their way';
    const asked = { method: 'MKCOL', name: `${folder}/`, doing, takes: [201, 200, 405], signal } as const;
    const { status } = await this.#server.ask(asked);
    if (status === 405) await this.#sweep(signal);
  }

  async #sweep(signal: AbortSignal | undefined): Promise<void> {
    const listing = await readFolder(this.#server, { name: `${folder}/`, doing: 'look for leftovers', signal });
    for (const { name, isFolder, modified } of listing?.members ?? []) {
      if (ageOf(modified, listing?.nowMs) > abandonedAfterMs) {
        await this.discard(`${folder}/${name}${isFolder ? '/' : ''}`);
      }
    }
  }

  /** A claim of somebody who was killed ends after three minutes by the server's clock. An error: it is not there, and cannot be made. */
  async #claim(
    claim: string,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<'ours' | 'perhaps ours' | 'theirs' | HoldfastError> {
    const doing = `write ${name}`;
    const takes = [201, 200, 403, 405, 409, 423, 500];
    const reply = await this.#server.ask({ method: 'MKCOL', name: `${claim}/`, doing, takes, signal, decisive: true });
    if (reply.status < 300) return 'ours';
    const listing = await readFolder(this.#server, { name: `${folder}/`, doing, signal });
    const held = listing?.members.find((member) => `${folder}/${member.name}` === claim);
    if (held && ageOf(held.modified, listing?.nowMs) > claimedForMs) await this.discard(`${claim}/`);
    if (held || reply.status === 405 || reply.status === 423) return reply.repeated ? 'perhaps ours' : 'theirs';
    return refusal(reply, askingOf(doing, this.#server.place.shown), this.#clock.nowMs());
  }
}

function ageOf(modified: string | undefined, nowMs: number | undefined): number {
  const at = parseHttpDate(modified ?? '');
  return at === undefined || nowMs === undefined ? 0 : nowMs - at;
}
