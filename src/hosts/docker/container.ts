/** One container, as everything in this folder sees it. */
import type Docker from 'dockerode';
import type { Clock } from '../../base/clock.ts';
import type { EngineApi } from './api.ts';

export interface Container {
  readonly api: EngineApi;
  readonly docker: Docker.Container;
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** Who programs run as; absent: as the image says. */
  readonly user?: string;
  /** It has a POSIX shell: without one, programs cannot be killed and files are read through archives only. */
  readonly hasShell: boolean;
  /** What else it has, see `tools.ts`. */
  readonly tools: ReadonlySet<string>;
  readonly clock: Clock;
}
