/** Maintenance windows around backups. */
export {
  addWindow,
  forgetWindow,
  keepWindow,
  knownWindows,
  type LeftWindow,
  recordsOfRun,
} from './catalogue-records.ts';
export { serviceClaim, thisMachine, touchedBy } from './claims.ts';
export { closeWindow } from './close-window.ts';
export { claimedElsewhere, recordsIn, type WindowRecords } from './open-records.ts';
export { keptPlaceOf, placeOf } from './place.ts';
export { leftRecords, type WindowRecord, windowsDirectory } from './records.ts';
export { type Repaired, repairWindows } from './repair.ts';
export { controlByProgram, type Services, servicesOn } from './services.ts';
export { MaintenanceWindow, type WindowOutcome } from './window.ts';
