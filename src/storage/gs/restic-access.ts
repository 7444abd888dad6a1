import { plainAccess, type ResticAccess, type ResticVariable } from '../restic-access.ts';
import type { GsSettings } from './settings.ts';

/** restic takes the credentials from a file. */
export function resticAccess(url: string, { credentials, project }: GsSettings): ResticAccess {
  const file = credentials?.from === 'file' ? credentials.path : '$HOME/recovery/google.json';
  const env: ResticVariable[] = [
    { name: 'GOOGLE_APPLICATION_CREDENTIALS', what: 'file of the credentials', value: file },
    ...(project ? [{ name: 'GOOGLE_PROJECT_ID', what: 'project', value: project }] : []),
  ];
  return { ...plainAccess(url), env, notes: [`The key of the service account (JSON) has to be in ${file}.`] };
}
