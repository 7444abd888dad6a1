/** Retention as declared: how many snapshots to keep per period. Absent = the rule does not apply. Same meaning as restic's `forget --keep-*`. */
export interface Retention {
  readonly last?: number;
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
  /** Keep everything newer than this before the newest snapshot, e.g. `7d`, `1y5m7d2h`. */
  readonly within?: string;
}
