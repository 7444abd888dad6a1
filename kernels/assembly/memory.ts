/** Fixed places in linear memory. There is no allocator: the host copies data in, calls, and copies results out. */

/** Bytes the host may place in `input` at once. */
export const INPUT_BYTES: usize = 64 * 1024;

/** `input` has this much room before it: the window of the rolling hash reaches back. */
export const CONTEXT_BYTES: usize = 64;

const inputWithContext: usize = memory.data(0x10000 + 64, 64);

/** Where data goes. */
export const input: usize = inputWithContext + CONTEXT_BYTES;

/** Counter blocks for the host's cipher, then the key stream made of them: as many bytes as `input`. */
export const stream: usize = memory.data(0x10000, 64);

/** Four parameters of 16 bytes: IV, r, s, tag. */
export const parameters: usize = memory.data(64, 64);
