/** Maintenance windows around backups. */
export { leftRecords, type WindowRecord, windowsDirectory } from './records.ts';
export { type Repaired, repairWindows } from './repair.ts';
export { controlByProgram, type Services, servicesOn } from './services.ts';
export { MaintenanceWindow, type WindowOutcome } from './window.ts';
