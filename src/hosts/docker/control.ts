/** Stopping and starting containers around a backup. */
import { HoldfastError } from '../../base/errors.ts';
import type { ContainerControl } from '../host.ts';
import { type EngineApi, engineFailure, engineWords, statusOf } from './api.ts';
import { findContainer } from './find-container.ts';

/** The engine answers so when a container is already as it is wanted. */
const notModified = 304;

export function containerControl(api: EngineApi): ContainerControl {
  return {
    async stop(name, timeoutMs) {
      // Once it is stopped nothing would tell it from others of the service that do not run.
      const { container, facts } = await findContainer(api, name, true);
      if (facts.State.Running && facts.HostConfig?.AutoRemove) throw wouldBeRemoved(name);
      try {
        await container.stop({ t: Math.max(0, Math.ceil(timeoutMs / 1000)) });
      } catch (error) {
        if (statusOf(error) !== notModified) throw engineFailure(api, `stop the container ${name}`, error);
      }
      if (await runs(api, name))
        throw notAsWanted(name, 'still runs after it was stopped', 'Look at its restart policy.');
    },
    async start(name) {
      const { container } = await findContainer(api, name);
      try {
        await container.start();
      } catch (error) {
        if (statusOf(error) === undefined) throw engineFailure(api, `start the container ${name}`, error);
        if (statusOf(error) !== notModified)
          throw notAsWanted(name, `does not start: ${engineWords(error)}`, logs, error);
      }
      if (!(await runs(api, name))) throw notAsWanted(name, 'ended as soon as it was started', logs);
    },
    isRunning: (name) => runs(api, name),
  };
}

const logs = 'Its log says why (docker logs); start it by hand.';

async function runs(api: EngineApi, name: string): Promise<boolean> {
  const { facts } = await findContainer(api, name);
  return facts.State.Running;
}

/** The engine removes it as soon as it stands still, and its anonymous volumes with it. */
function wouldBeRemoved(name: string): HoldfastError {
  return new HoldfastError({
    code: 'host.command-failed',
    message: `the container ${name} is not stopped: it was started with --rm, so its engine would remove it, and its anonymous volumes with all data`,
    remedy:
      'Stop what starts it instead ({ service: NAME } for a unit of systemd, or run: steps), or start it without --rm.',
  });
}

function notAsWanted(name: string, what: string, remedy: string, cause?: unknown): HoldfastError {
  return new HoldfastError({ code: 'host.command-failed', message: `the container ${name} ${what}`, remedy, cause });
}
