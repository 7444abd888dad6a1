/** Every kind of storage this program knows. */
import { localStorage } from './local/index.ts';
import type { AnyStorageKind } from './storage.ts';

export const storageKinds: readonly AnyStorageKind[] = [localStorage];
