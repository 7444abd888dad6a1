/**
 * The program on the far host: keeps one connection to the server, and performs what it is sent. Nothing listens here.
 * While the server is away runs go on, and what they tell is kept.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { RunEvent } from '../model/run.ts';
import { emptyConfig } from '../operations/configuration/configuration.ts';
import { describeError } from '../operations/describe-error.ts';
import type { SourceAccess } from '../operations/operation.ts';
import { repairLeftWindows } from '../operations/sources/left-windows.ts';
import { AgentRuns } from './agent-runs.ts';
import { openSocket } from './connect.ts';
import { agentDirectory, readIdentity, writeIdentity } from './identity.ts';
import type { LinkTiming } from './link.ts';
import { type AgentParts, isKnownOperation, performOperation } from './perform.ts';
import { heartbeatMs, silenceMs } from './protocol.ts';
import { Session } from './session.ts';

export interface AgentOptions {
  readonly parts: AgentParts;
  readonly stateDirectory: string;
  readonly env: SourceAccess['env'];
  readonly clock: Clock;
  /** Ends it, in order: runs are stopped and their ends told, if the server is there. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly timing?: LinkTiming;
}

const firstPauseMs = 1000;
const longestPauseMs = 60_000;
const firstStartPauseMs = 20_000;
const longestStartPauseMs = 300_000;
/** What was stopped may still be told for this long. */
const farewellMs = 10_000;

/** Returns when the signal was aborted. `agent.unknown` before it has joined; `usage.invalid` if it runs already. */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { stateDirectory, clock, signal, log } = options;
  const { name, address } = await readIdentity(stateDirectory);
  await using _alone = await holdAlone(stateDirectory);
  const isLeft = await startWhatWasStopped(options);
  const starting = keepStarting(options, isLeft);
  log.info({ name, server: address }, 'the agent begins');
  const instance = randomBytes(8).toString('hex');
  const current: { session?: Session } = {};
  const runs = await AgentRuns.open({
    clock,
    directory: join(agentDirectory(stateDirectory), 'results'),
    isKnown: isKnownOperation,
    wake: () => current.session?.wake(),
    perform: (request, watch) => performOperation(request, { ...options, ...watch }),
  });
  const connecting = keepConnected(options, { runs, instance, current });
  await aborted(signal);
  log.info({ running: runs.running }, 'the agent stops');
  await runs.stop();
  await farewell(current.session, clock);
  await connecting;
  await starting;
}

interface Connecting {
  readonly runs: AgentRuns;
  readonly instance: string;
  readonly current: { session?: Session };
}

async function keepConnected(options: AgentOptions, parts: Connecting): Promise<void> {
  const { clock, signal, log } = options;
  for (let failures = 0; !signal.aborted; ) {
    try {
      const wasWelcome = await connectOnce(options, parts);
      failures = wasWelcome ? 0 : failures + 1;
    } catch (error) {
      failures = hasCode(error, 'agent.refused') ? Number.MAX_SAFE_INTEGER : failures + 1;
      const { code, message, remedy } = describeError(error);
      log.warn({ code, remedy }, message);
    }
    await clock.sleep(pauseMs(failures), { signal }).catch(() => undefined); // told to stop: the loop ends
  }
}

/** Between half and all of it, so that agents do not come back all at once. */
function pauseMs(failures: number): number {
  const whole = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 10));
  return whole * (0.5 + Math.random() / 2);
}

/** Until the connection ends; true if the server took it. */
async function connectOnce(options: AgentOptions, { runs, instance, current }: Connecting): Promise<boolean> {
  const { stateDirectory, clock, signal, log, timing = { heartbeatMs, silenceMs } } = options;
  // Read again each time: it may have been renewed, or this machine may have joined anew.
  const identity = await readIdentity(stateDirectory);
  const socket = await openSocket(identity, signal);
  // Told to stop meanwhile: nobody would close it.
  if (signal.aborted) {
    socket.terminate();
    return false;
  }
  const save = (renewed: typeof identity): Promise<void> => writeIdentity(stateDirectory, renewed);
  const session = new Session({ socket, identity, instance, runs, clock, timing, log, save });
  current.session = session;
  const reason = await session.closed;
  current.session = undefined;
  log.info({ reason }, 'disconnected');
  const { goodbye } = session;
  if (goodbye?.code === 'agent.refused') {
    runs.cancelAll(goodbye);
    throw new HoldfastError({ code: 'agent.refused', message: goodbye.message, remedy: goodbye.remedy });
  }
  return session.isWelcome;
}

/** Gives the server the time to hear how runs ended; what it does not hear is told when both are back. */
async function farewell(session: Session | undefined, clock: Clock): Promise<void> {
  if (!session) return;
  session.wake();
  const untilMs = clock.monotonicMs() + farewellMs;
  while (!session.isQuiet && clock.monotonicMs() < untilMs) await clock.sleep(50);
  session.close('the agent was stopped');
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** What a run of this process could not start is tried again until it works, less and less often. */
async function keepStarting(options: AgentOptions, isLeftBefore: boolean): Promise<void> {
  const { clock, signal, log } = options;
  for (let failures = isLeftBefore ? 1 : 0; !signal.aborted; ) {
    const pauseMs = Math.min(longestStartPauseMs, firstStartPauseMs * 2 ** Math.min(failures, 10));
    await clock.sleep(pauseMs, { signal, background: true }).catch(() => undefined); // told to stop: the loop ends
    if (signal.aborted) return;
    try {
      failures = (await startWhatWasStopped(options)) ? failures + 1 : 0;
    } catch (error) {
      failures += 1;
      log.warn(describeError(error), 'what was left stopped cannot be looked for; trying again');
    }
  }
}

/** Services that a backup stopped and that were not started again: its agent was killed, or could not. True if some still are. */
async function startWhatWasStopped({ parts, stateDirectory, env, clock, signal, log }: AgentOptions): Promise<boolean> {
  const config = emptyConfig(join(agentDirectory(stateDirectory), 'holdfast.yaml'));
  const uses = {
    ...{ ...parts, config, clock, signal, env: { ...env, HOLDFAST_STATE: stateDirectory } },
    report: (event: RunEvent) => {
      if (event.type === 'warning') log.warn({ source: event.subject }, event.message);
    },
  };
  const repaired = await repairLeftWindows(uses, () => true);
  return repaired.some(({ isClosed }) => !isClosed);
}

/**
 * One process for one state: two would tell the server different things under the same name. The name of a socket that no
 * file stands for goes with its process, however that ends (Linux; elsewhere the server sees to it).
 */
async function holdAlone(stateDirectory: string): Promise<AsyncDisposable> {
  if (process.platform !== 'linux') return { [Symbol.asyncDispose]: async () => undefined };
  const key = createHash('sha256').update(agentDirectory(stateDirectory)).digest('hex').slice(0, 32);
  const holder = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    holder.once('error', (cause) =>
      reject(
        new HoldfastError({
          code: 'usage.invalid',
          message: `an agent with the state in ${stateDirectory} runs already`,
          remedy: 'Stop it first, or set HOLDFAST_STATE for a second agent.',
          cause,
        }),
      ),
    );
    holder.listen(`\0holdfast-agent-${key}`, () => resolve());
  });
  holder.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => holder.close(resolve));
    },
  };
}
