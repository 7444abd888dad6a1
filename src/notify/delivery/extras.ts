/** What a channel is told besides events, best effort: which runs began, and that Holdfast is alive. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type EventType, type HoldfastEvent, severityOf } from '../../model/event.ts';
import type { AnyChannelKind, BegunRun, Channel } from '../channel.ts';
import { type ChannelPlan, type Routing, takes } from '../route.ts';

export interface ExtrasParts {
  /** Of the channel. */
  readonly name: string;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly kinds: readonly AnyChannelKind[];
  readonly workspacesOf: Routing['workspacesOf'];
}

/** A sign of life that did not get through is repeated sooner. */
const beatAgainMs = 60_000;

export class Extras {
  readonly #parts: ExtrasParts;
  #told = new Set<string>();
  #nextBeatMs = 0;

  constructor(parts: ExtrasParts) {
    this.#parts = parts;
  }

  /** When it is to be called again; `undefined`: whenever. */
  async tell(plan: ChannelPlan, channel: Channel, signal: AbortSignal): Promise<number | undefined> {
    if (channel.begun) await this.#tellBegun(plan, channel, signal);
    return channel.heartbeat ? await this.#beat(channel.heartbeat, signal) : undefined;
  }

  async #beat({ everyMs, beat }: NonNullable<Channel['heartbeat']>, signal: AbortSignal): Promise<number> {
    const { catalogue } = this.#parts;
    const nowMs = await catalogue.nowMs();
    if (nowMs >= this.#nextBeatMs) {
      const isDone = await this.#try(beat(signal), 'a sign of life was not told', signal);
      this.#nextBeatMs = nowMs + (isDone ? everyMs : Math.min(everyMs, beatAgainMs));
    }
    return this.#nextBeatMs;
  }

  async #tellBegun(plan: ChannelPlan, channel: Channel, signal: AbortSignal): Promise<void> {
    const { catalogue, kinds, workspacesOf } = this.#parts;
    const kindOn = kinds.find((kind) => kind.name === plan.kind)?.on?.(plan.settings);
    const underWay = await runsUnderWay(catalogue);
    for (const run of underWay) {
      if (this.#told.has(run.id) || !takes(plan, successOf(run), { workspacesOf, kindOn })) continue;
      // Told after its end, a beginning would stand there as a run that never ended.
      if (await isUnderWay(catalogue, run)) {
        await this.#try(channel.begun?.(run, signal), 'the beginning of a run was not told', signal);
      }
    }
    this.#told = new Set(underWay.map(({ id }) => id));
  }

  async #try(task: Promise<void> | undefined, what: string, signal: AbortSignal): Promise<boolean> {
    try {
      await task;
      return true;
    } catch (error) {
      signal.throwIfAborted();
      this.#parts.log.warn({ channel: this.#parts.name, error: messageOf(error) }, what);
      return false;
    }
  }
}

async function runsUnderWay({ db }: Catalogue): Promise<BegunRun[]> {
  const rows = await db
    .selectFrom('run')
    .select(['id', 'kind', 'source', 'policy', 'repository'])
    .where('state', '=', 'running')
    .orderBy('id')
    .execute();
  return rows.map(({ source, policy, repository, ...rest }) => ({
    ...rest,
    ...(source === null ? {} : { source }),
    ...(policy === null ? {} : { policy }),
    ...(repository === null ? {} : { repository }),
  }));
}

async function isUnderWay({ db }: Catalogue, { id }: BegunRun): Promise<boolean> {
  const row = await db.selectFrom('run').select('state').where('id', '=', id).executeTakeFirst();
  return row?.state === 'running';
}

/** Who is told of the success of a run is told of its beginning. */
function successOf({ id, kind, ...rest }: BegunRun): HoldfastEvent {
  const type = `${kind}.succeeded` as EventType;
  return { id, type, severity: severityOf(type), atMs: 0, title: '', facts: { kind }, run: id, ...rest };
}
