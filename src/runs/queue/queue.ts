/**
 * How runs that were admitted come to workers. It carries ids and nothing else: the run's row says what is to be done and
 * whether it still is, so that an id that comes twice, or late, does no harm, and one that is lost is handed over again.
 */
export interface Handed {
  readonly id: string;
  /** Which workers may have it: `any`, or `agents` for those who let agents in. */
  readonly lane: Lane;
}

export const lanes = ['any', 'agents'] as const;
export type Lane = (typeof lanes)[number];

export interface Taking {
  readonly lanes: readonly Lane[];
  /** How many it would take now. */
  readonly room: () => number;
  /** Resolves when the run is claimed, or is somebody else's: from then on it counts in `room`. */
  readonly take: (id: string) => Promise<void>;
}

export interface Queue extends AsyncDisposable {
  hand(runs: readonly Handed[]): Promise<void>;
  /** Gives what is handed over to `take`, until the signal is aborted; then it resolves. */
  serve(taking: Taking, signal: AbortSignal): Promise<void>;
  /** There may be room again. */
  wake(): void;
}
