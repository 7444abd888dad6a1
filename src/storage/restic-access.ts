/** How the restic program reaches the repository that a storage keeps: for recovery kits. Holds no secret. */
export interface ResticAccess {
  /** For `RESTIC_REPOSITORY`, in double quotes of a shell: `$NAME` is a variable of `env`. */
  readonly repository: string;
  /** On every command line, as words of a shell. */
  readonly options: readonly string[];
  readonly env: readonly ResticVariable[];
  /** What a person has to know or to have. */
  readonly notes: readonly string[];
}

export interface ResticVariable {
  readonly name: string;
  /** Absent: a secret, which is written by hand; `what` says which. */
  readonly value?: string;
  readonly what: string;
}

/** Where the URL says it all. */
export function plainAccess(repository: string): ResticAccess {
  return { repository, options: [], env: [], notes: [] };
}
