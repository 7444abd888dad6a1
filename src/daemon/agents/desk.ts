/**
 * What the server has to do with one agent. It outlives connections: a run whose agent is away goes on waiting, for the agent
 * may be performing it, and finds its agent again when that is back.
 *
 *     new ──▶ sent ──▶ accepted ──▶ ended        at the agent, as far as this server knows
 */
import type { AgentHello, Hold, Outcome, Perform, ResultMessage, ToAgent, ToServer } from '../../agent/protocol.ts';
import type { Clock } from '../../base/clock.ts';
import { cancelled, HoldfastError } from '../../base/errors.ts';
import type { ExecuteUses } from '../../runs/execute.ts';
import { errorOfWire } from './wire-error.ts';

export interface DeskTiming {
  /** How long a run waits for an agent that is not connected. */
  readonly awayMs: number;
  /** How long one that was given to an agent waits for its return. */
  readonly goneMs: number;
  /** How long an agent has for ending what it is told to end. */
  readonly endMs: number;
}

export const usualDeskTiming: DeskTiming = { awayMs: 60_000, goneMs: 30 * 60_000, endMs: 60_000 };

export interface DeskOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly timing: DeskTiming;
  /** A run that the agent has and nobody here waits for: true if somebody does from now on. */
  readonly resume: (hold: Hold) => Promise<boolean>;
  /** True once the catalogue has its end, or somebody else has the run. */
  readonly isEnded: (hold: Hold) => Promise<boolean>;
  /** How a run ended that nobody waits for. */
  readonly late: (result: ResultMessage) => Promise<void>;
}

export interface DeskLink {
  send(message: ToAgent): boolean;
}

interface Job {
  readonly work: Perform;
  state: 'new' | 'sent' | 'accepted';
  /** Process of the agent that has it. */
  instance?: string;
  nextEvent: number;
  /** The last one that was told and is not confirmed. */
  unconfirmed?: number;
  isCancelled: boolean;
  result?: ResultMessage;
  readonly report: Watching['report'];
  readonly written: Watching['written'];
  readonly end: PromiseWithResolvers<unknown>;
}

interface Watching extends Required<Pick<ExecuteUses, 'signal' | 'report' | 'written'>> {
  /** Number of the last event that is written down already. */
  readonly after?: number;
}

/** A run whose waiting is over here, until the catalogue has its end. */
interface Over {
  readonly hold: Hold;
  readonly isCancelled: boolean;
  /** What the agent says of its end; it forgets it only when it is told to. */
  result?: ResultMessage;
}

/** A run that is being resumed, and what the agent says of it until somebody waits for it. */
interface Early {
  readonly hold: Hold;
  readonly messages: ToServer[];
}

const lookMs = 500;

export class AgentDesk {
  readonly name: string;
  readonly #options: DeskOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #early = new Map<string, Early>();
  readonly #over = new Map<string, Over>();
  /** For the next process of this server: what agents say of them stays unanswered, so that they say it again. */
  readonly #left = new Set<string>();
  #link: DeskLink | undefined;
  #hello: AgentHello | undefined;
  #absentSinceMs: number;

  constructor(options: DeskOptions) {
    this.name = options.name;
    this.#options = options;
    this.#absentSinceMs = options.clock.monotonicMs();
  }

  get isConnected(): boolean {
    return this.#link !== undefined;
  }

  /** The agent may forget the runs that the catalogue has the end of. To be called from time to time; rejects where that is away. */
  async settleEnded(): Promise<void> {
    const { isEnded } = this.#options;
    for (const early of [...this.#early.values()]) if (await isEnded(early.hold)) await this.#giveUp(early);
    for (const over of [...this.#over.values()]) if (await isEnded(over.hold)) await this.#settle(over);
  }

  /** Whoever was to resume it ended before it came to wait for it. */
  async #giveUp(early: Early): Promise<void> {
    const { hold, messages } = early;
    if (this.#early.get(hold.runId) !== early) return;
    this.#early.delete(hold.runId);
    this.#over.set(hold.runId, { hold, isCancelled: false });
    for (const message of messages) await this.take(message);
  }

  async #settle({ hold, result }: Over): Promise<void> {
    // An agent that is away says it again when it is back.
    if (this.#link && result) {
      await this.#options.late(result);
      this.#link?.send({ kind: 'settled', ...hold });
    } else this.#link?.send({ kind: 'cancel', ...hold, error: closedMeanwhile });
    this.#over.delete(hold.runId);
  }

  /** The agent is there: what it has is compared with what is waited for. */
  async attach(link: DeskLink, hello: AgentHello): Promise<void> {
    this.#link = link;
    this.#hello = hello;
    for (const job of this.#jobs.values()) this.#meet(job, hello);
    for (const { runId, fence, state } of hello.runs) {
      // It has connected anew meanwhile: that is compared there.
      if (this.#link !== link) return;
      await this.#find({ runId, fence }, state === 'running');
    }
  }

  /** Whose a run is that the agent has. What has not ended, and is nobody's here, is left to the next process. */
  async #find(hold: Hold, isRunning: boolean): Promise<void> {
    const { runId } = hold;
    if (this.#jobs.has(runId) || this.#left.has(runId)) return;
    const over = this.#over.get(runId);
    if (over?.hold.fence === hold.fence) {
      if (isRunning && over.isCancelled) this.#link?.send({ kind: 'cancel', ...hold });
      return;
    }
    this.#early.set(runId, { hold, messages: [] });
    if (await this.#options.resume(hold)) return;
    this.#early.delete(runId);
    if (!(await this.#options.isEnded(hold))) this.#left.add(runId);
    else if (isRunning) this.#link?.send({ kind: 'cancel', ...hold, error: closedMeanwhile });
  }

  detach(link: DeskLink): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#absentSinceMs = this.#options.clock.monotonicMs();
  }

  #meet(job: Job, { runs, instance }: AgentHello): void {
    const { runId, fence } = job.work;
    const isThere = runs.some((one) => one.runId === runId && one.fence === fence);
    if (isThere) {
      Object.assign(job, { state: 'accepted', instance });
      if (job.isCancelled) this.#link?.send({ kind: 'cancel', runId, fence });
      return;
    }
    // Sent, and not accepted by the same process: it was lost on the way. By another one: it may have begun, and has ended.
    if (job.state === 'new' || (job.state === 'sent' && job.instance === instance)) this.#send(job);
    else job.end.reject(startedAnew(this.name));
  }

  #send(job: Job): void {
    if (job.isCancelled) {
      job.end.reject(cancelled());
      return;
    }
    if (!this.#link?.send(job.work)) return;
    Object.assign(job, { state: 'sent', instance: this.#hello?.instance });
  }

  /** What the operation gave over there. Rejects with what it threw; `agent.away`, `run.lost`; and when the signal is aborted. */
  async execute(work: Perform, { signal, report, written, after = 0 }: Watching): Promise<unknown> {
    const job: Job = {
      ...{ work, report, written, state: 'new', nextEvent: after + 1, isCancelled: false },
      end: Promise.withResolvers(),
    };
    this.#jobs.set(work.runId, job);
    if (this.#link && this.#hello) this.#meet(job, this.#hello);
    const { messages = [] } = this.#early.get(work.runId) ?? {};
    this.#early.delete(work.runId);
    for (const message of messages) await this.take(message);
    const done = new AbortController();
    const watching = this.#watch(job, signal, done.signal);
    try {
      return await job.end.promise;
    } finally {
      done.abort();
      this.#jobs.delete(work.runId);
      if (isLeft(signal)) this.#left.add(work.runId);
      else if (job.state !== 'new') this.#close(job);
      await watching;
    }
  }

  #close({ work, isCancelled, result, unconfirmed }: Job): void {
    const hold = { runId: work.runId, fence: work.fence };
    this.#over.set(hold.runId, { hold, isCancelled, result });
    // Until then its agent would not say how it ended, even if the catalogue stays away.
    if (unconfirmed !== undefined) this.#link?.send({ kind: 'ack', ...hold, upTo: unconfirmed });
  }

  /** Ends the waiting: for an agent that is away for too long, and for one that does not end what it was told to. */
  async #watch(job: Job, signal: AbortSignal, done: AbortSignal): Promise<void> {
    const { clock, timing } = this.#options;
    const stop = (): void => (isLeft(signal) ? job.end.reject(signal.reason) : this.#cancel(job));
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    for (let cancelledMs: number | undefined; !done.aborted; ) {
      const nowMs = clock.monotonicMs();
      const absentMs = this.isConnected ? 0 : nowMs - this.#absentSinceMs;
      if (job.isCancelled) cancelledMs ??= nowMs;
      if (cancelledMs !== undefined && (nowMs - cancelledMs > timing.endMs || absentMs > timing.endMs)) {
        job.end.reject(signal.reason);
      }
      if (absentMs > (job.state === 'new' ? timing.awayMs : timing.goneMs)) job.end.reject(away(this.name, absentMs));
      await clock.sleep(lookMs, { signal: done, background: true }).catch(() => undefined); // it has ended
    }
    signal.removeEventListener('abort', stop);
  }

  #cancel(job: Job): void {
    job.isCancelled = true;
    const { runId, fence } = job.work;
    // Nobody has it: there is nothing to wait for.
    if (job.state === 'new') job.end.reject(cancelled());
    else this.#link?.send({ kind: 'cancel', runId, fence });
  }

  async take(message: ToServer): Promise<void> {
    if (!('runId' in message) || this.#left.has(message.runId)) return;
    const job = this.#jobs.get(message.runId);
    if (!job || job.work.fence !== message.fence) return await this.#takeOther(message);
    switch (message.kind) {
      case 'accepted':
        job.state = 'accepted';
        return;
      case 'refused':
        job.end.reject(errorOfWire(message.error));
        return;
      case 'events':
        this.#tell(job, message);
        return;
      case 'result':
        for (const told of message.warnings) job.report({ type: 'warning', code: 'run.warning', message: told });
        job.result = message;
        settleJob(job, message.outcome);
        return;
    }
  }

  /** Confirmed when it is written down: what a server that dies has not written, its agent tells the next one. */
  #tell(job: Job, { from, events }: Extract<ToServer, { kind: 'events' }>): void {
    for (const [i, event] of events.entries()) {
      const number = from + i;
      if (number < job.nextEvent) continue;
      job.nextEvent = number + 1;
      if (event) job.report(event, number);
    }
    const { runId, fence } = job.work;
    const upTo = from + events.length - 1;
    job.unconfirmed = upTo;
    // Not waited for: what the agent says meanwhile is heard. If it is never written, its run is over here.
    void job.written().then(() => {
      if (job.unconfirmed === upTo) job.unconfirmed = undefined;
      this.#link?.send({ kind: 'ack', runId, fence, upTo });
    });
  }

  /** Of a run that is being resumed: kept until somebody waits for it. Of any other: it is over here. */
  async #takeOther(message: Extract<ToServer, Hold>): Promise<void> {
    const hold = { runId: message.runId, fence: message.fence };
    const early = this.#early.get(hold.runId);
    if (early?.hold.fence === hold.fence) {
      early.messages.push(message);
      return;
    }
    if (message.kind === 'events') {
      this.#link?.send({ kind: 'ack', ...hold, upTo: message.from + message.events.length - 1 });
    }
    if (message.kind !== 'result') return;
    const over = this.#over.get(hold.runId);
    if (over?.hold.fence === hold.fence) {
      over.result = message;
      return;
    }
    await this.#options.late(message);
    this.#link?.send({ kind: 'settled', ...hold });
  }
}

/** This server ends, and the run is to go on: the next one resumes it. */
function isLeft({ reason }: AbortSignal): boolean {
  return reason instanceof HoldfastError && reason.cause === 'left';
}

function settleJob(job: Job, outcome: Outcome): void {
  if (outcome.ok) job.end.resolve(outcome.output);
  else job.end.reject(errorOfWire(outcome.error));
}

const closedMeanwhile = {
  code: 'run.lost',
  message: 'it was stopped: while the agent was away, the server had closed this run',
  remedy: 'Nothing has to be done; what was stored so far is used by the next run.',
};

function startedAnew(name: string): HoldfastError {
  return new HoldfastError({
    code: 'run.lost',
    message: `the agent «${name}» was started anew while it performed this`,
    remedy: 'Look at its log for why it ended; what was stored until then is used by the next run.',
    retry: 'later',
  });
}

function away(name: string, absentMs: number): HoldfastError {
  return new HoldfastError({
    code: 'agent.away',
    message: `the agent «${name}» has not been connected for ${Math.round(absentMs / 1000)} s`,
    remedy: 'Check that it runs («holdfast agent run») and that it reaches the server; see: holdfast agent list',
    retry: 'later',
  });
}
