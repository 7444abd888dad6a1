/** What the driver does, loaded when a source needs it. */
export { capture } from './backup.ts';
export { extent } from './extent.ts';
export { probe } from './probe.ts';
export { restore } from './restore.ts';
export { nativeSteps, runbook } from './runbook.ts';
export { restoreThrowaway } from './throwaway.ts';
