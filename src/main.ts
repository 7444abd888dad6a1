/** The program: the only place that names concrete drivers, storages and hosts. */
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

cacheCompiledCode();

const { runCli } = await import('./cli/run.ts');

process.exitCode = await runCli(process.argv.slice(2), {
  drivers: async () => (await import('./drivers/registry.ts')).drivers,
  storageKinds: async () => (await import('./storage/registry.ts')).storageKinds,
  hostKinds: async () => (await import('./hosts/registry.ts')).hostKinds,
  containers: async () => undefined,
  localHost: async () => {
    const { localHost } = await import('./hosts/registry.ts');
    let host: ReturnType<typeof localHost> | undefined;
    return () => {
      host ??= localHost();
      return host;
    };
  },
});

/** Best effort: without a place for it (a user without a home, a read-only disk) the program only starts a little slower. */
function cacheCompiledCode(): void {
  try {
    enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holdfast'));
  } catch {
    // no home
  }
}
