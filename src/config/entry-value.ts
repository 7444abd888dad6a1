/** An entry as it was written. */
import type { Config } from './config.ts';
import { readYaml } from './yaml/yaml-document.ts';

/** With secrets as they stand there; `undefined` if it does not. */
export function entryValue({ bytes }: Config, section: string, name: string): unknown {
  const document = bytes && readYaml(bytes);
  if (!document || !('locate' in document)) return undefined;
  const entries = (document.value as Readonly<Record<string, unknown>> | null)?.[section];
  if (typeof entries !== 'object' || entries === null || !Object.hasOwn(entries, name)) return undefined;
  return (entries as Readonly<Record<string, unknown>>)[name];
}
