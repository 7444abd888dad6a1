/** Where what a source protects is seen. */
import type { Extent } from '../driver.ts';
import type { Settings } from './settings.ts';

export async function extent({ path }: Settings): Promise<Extent> {
  return { paths: [path], consistent: true };
}
