import { plainAccess, type ResticAccess } from '../restic-access.ts';
import { pathOf } from './location.ts';

export function resticAccess(url: string): ResticAccess {
  const notes = ['The disk or share has to be mounted; where it is mounted elsewhere, write that path instead.'];
  return { ...plainAccess(pathOf(url)), notes };
}
