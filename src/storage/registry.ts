/** Every kind of storage this program knows. */
import { localStorage } from './local/index.ts';
import type { StorageKind } from './storage.ts';

export const storageKinds: readonly StorageKind[] = [localStorage];
