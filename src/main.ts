/** The program: the only place that names concrete drivers, storages and hosts. */
import type { AgentParts } from './agent/perform.ts';
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
  mcp: async () => await import('./mcp/stdio.ts'),
  agent: async () => (await import('./agent/program.ts')).agentProgram(loadAgentParts),
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

async function loadAgentParts(): Promise<AgentParts> {
  const [{ drivers }, { storageKinds }, hosts, { channelKinds }] = await Promise.all([
    import('./drivers/registry.ts'),
    import('./storage/registry.ts'),
    import('./hosts/registry.ts'),
    import('./notify/registry.ts'),
  ]);
  const local = hosts.localHost();
  const openContainers = async () => await hosts.openContainerEngine();
  return { drivers, storageKinds, channelKinds, hostKinds: hosts.hostKinds, localHost: () => local, openContainers };
}
