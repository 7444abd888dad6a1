/** What is asked of the thread that looks at and reads many files, and what it answers. */

export interface Request {
  readonly number: number;
  readonly kind: 'look' | 'read';
  readonly paths: readonly string[];
}

/** For each path: its size if it is a file to be had, else one of `outcome`. */
export interface Answer {
  readonly number: number;
  readonly sizes: Float64Array;
  /** What was read, one file after the other. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

export const outcome = {
  gone: -1,
  folder: -2,
  /** Neither file nor folder. */
  other: -3,
  /** To be asked for by itself: too large to be read here, or something went wrong. */
  alone: -4,
} as const;

/** Larger files are not worth being read together. */
export const mostFileBytes = 32 << 10;
