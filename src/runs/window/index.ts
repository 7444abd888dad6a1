/** Maintenance windows around backups. */
export { forgetWindow, keepWindow, type LeftWindow, leftWindows, recordsOfRun } from './catalogue-records.ts';
export { closeWindow } from './close-window.ts';
export { leftRecords, recordsIn, type WindowRecord, type WindowRecords, windowsDirectory } from './records.ts';
export { type Repaired, repairWindows } from './repair.ts';
export { controlByProgram, type Services, servicesOn } from './services.ts';
export { MaintenanceWindow, type WindowOutcome } from './window.ts';
