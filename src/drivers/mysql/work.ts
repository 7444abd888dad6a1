/** What the drivers do, loaded when a source needs it. */
import type { DriverWork } from '../load-on-use.ts';
import { capture } from './backup.ts';
import { extent, leftOut } from './extent.ts';
import { probe } from './probe.ts';
import { restore } from './restore.ts';
import { nativeSteps, runbook } from './runbook.ts';
import type { Flavour } from './server.ts';
import type { Settings } from './settings.ts';
import { restoreThrowaway } from './throwaway.ts';

export function workFor(flavour: Flavour): DriverWork<Settings> {
  return {
    probe: (source) => probe(source, flavour),
    capture: (source) => capture(source, flavour),
    restore: (source, contents, request) => restore(source, contents, request, flavour),
    restoreThrowaway: (source, contents, throwaway) => restoreThrowaway(source, contents, throwaway, flavour),
    nativeSteps: (contents) => nativeSteps(contents, flavour),
    runbook: (settings, contents) => runbook(settings, contents, flavour),
    extent,
    leftOut,
  };
}
