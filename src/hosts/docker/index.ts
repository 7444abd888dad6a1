/** Containers as hosts, and the engine that starts throwaway ones. Their code is loaded when it is used. */
import type { HostKind } from '../host.ts';
import type { openContainerEngine as Open } from './engine.ts';
import { type DockerSettings, dockerSettings } from './settings.ts';

/** See `engine.ts`. */
export const openContainerEngine: typeof Open = async (...request) =>
  (await import('./engine.ts')).openContainerEngine(...request);

export const docker: HostKind<DockerSettings> = {
  name: 'docker',
  title: 'Container (Docker, Podman)',
  settings: dockerSettings,
  references: ['on'],
  place: (settings) => ({ container: settings.docker, on: settings.on }),
  open: async (name, settings, tools) => (await import('./open-host.ts')).openDockerHost(name, settings, tools),
};
