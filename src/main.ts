/** The program: the only place that names concrete drivers, storages and hosts. */
import { runCli } from './cli/run.ts';

process.exitCode = await runCli(process.argv.slice(2), {
  drivers: async () => (await import('./drivers/registry.ts')).drivers,
  storageKinds: async () => (await import('./storage/registry.ts')).storageKinds,
  hostKinds: async () => (await import('./hosts/registry.ts')).hostKinds,
  channelKinds: async () => (await import('./notify/registry.ts')).channelKinds,
  serve: async () => {
    const [{ serve }, { channelKinds }] = await Promise.all([
      import('./daemon/serve.ts'),
      import('./notify/registry.ts'),
    ]);
    return (request) => serve({ ...request, channelKinds });
  },
  work: async () => (await import('./daemon/worker.ts')).work,
  openContainers: async () => (await import('./hosts/registry.ts')).openContainerEngine(),
  localHost: async () => {
    const { localHost } = await import('./hosts/registry.ts');
    let host: ReturnType<typeof localHost> | undefined;
    return () => {
      host ??= localHost();
      return host;
    };
  },
});
