/** Fixed places in linear memory. There is no allocator: the host copies data in, calls, and copies results out. */

/** Room before `input`: the window of the rolling hash reaches back. */
const CONTEXT_BYTES: usize = 64;

/** Where data goes: 64 KiB at once. */
export const input: usize = memory.data(64 + 0x10000, 64) + CONTEXT_BYTES;

/** Counter blocks for the host's cipher, then the key stream made of them: as many bytes as `input`. */
export const stream: usize = memory.data(0x10000, 64);

/** Four parameters of 16 bytes: IV, r, s, tag. */
export const parameters: usize = memory.data(64, 64);
