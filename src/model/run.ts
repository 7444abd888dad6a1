/** What a run tells while it goes on. Faces render it; nothing on the run's path waits for a listener. */
export type RunEvent =
  | { readonly type: 'stage'; readonly stage: string; readonly subject?: string }
  | {
      readonly type: 'progress';
      readonly stage: string;
      readonly bytesDone: number;
      /** Absent while the total is not known yet. */
      readonly bytesTotal?: number;
      readonly itemsDone?: number;
      readonly itemsTotal?: number;
      /** What is being worked on now. */
      readonly subject?: string;
    }
  | { readonly type: 'warning'; readonly code: string; readonly message: string; readonly subject?: string }
  | { readonly type: 'note'; readonly message: string };

export type Report = (event: RunEvent) => void;

export const silent: Report = () => {};
