/** Drivers whose code is loaded when a source needs it: all of them together cost every command 0.2 s and 20 MiB. */
import type { Driver } from './driver.ts';

/** What a driver is known by: enough to read the configuration. */
export type DriverFacts<Settings> = Pick<Driver<Settings>, 'name' | 'title' | 'settings' | 'target'>;

/** What a driver does. */
export type DriverWork<Settings> = Omit<Driver<Settings>, keyof DriverFacts<Settings>>;

export function loadOnUse<Settings>(
  facts: DriverFacts<Settings>,
  load: () => Promise<DriverWork<Settings>>,
): Driver<Settings> {
  return {
    ...facts,
    probe: async (source) => (await load()).probe(source),
    capture: async (source) => (await load()).capture(source),
    restore: async (source, contents, request) => (await load()).restore(source, contents, request),
    restoreThrowaway: async (source, contents, throwaway) =>
      (await load()).restoreThrowaway(source, contents, throwaway),
    nativeSteps: async (contents) => (await load()).nativeSteps(contents),
    runbook: async (settings, contents, place) =>
      (await (await load()).runbook?.(settings, contents, place)) ?? { before: [], look: [] },
    extent: async (settings) => (await (await load()).extent?.(settings)) ?? {},
    leftOut: async (source) => (await (await load()).leftOut?.(source)) ?? [],
  };
}
