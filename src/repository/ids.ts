import { hash } from 'node:crypto';

/** SHA-256 in hex: the name of stored files. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes);
}
