/** Where what a source protects is seen. */
import type { Extent } from '../driver.ts';
import { placeOf } from './address.ts';
import type { Settings } from './settings.ts';

export async function extent(settings: Settings): Promise<Extent> {
  // Names of mongodb+srv are looked up elsewhere: they never mean the machine itself.
  if (settings.url.startsWith('mongodb+srv:') && settings.socket === undefined) return {};
  return { server: { kind: 'MongoDB', addresses: (await placeOf(settings)).seeds } };
}
