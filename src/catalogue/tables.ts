/**
 * What Holdfast remembers, as kysely sees it. Columns are snake_case in the database, instants are milliseconds since the
 * epoch, JSON and booleans are what SQLite has: text, and 0 or 1. Everything about data (snapshots, proofs, sizes) is a copy
 * of what the repositories say, and can be made again from them.
 */
export interface RunTable {
  id: string;
  kind: string;
  source: string | null;
  repository: string | null;
  host: string;
  policy: string | null;
  trigger: string;
  slotMs: number | null;
  /** What makes a due run unique: `kind/policy/source/repository@slot`; null for what somebody asked for. */
  slotKey: string | null;
  state: string;
  attempt: number;
  retryOf: string | null;
  notBeforeMs: number;
  queuedAtMs: number;
  /** When it was let in: from then on it counts against the limits, and waits only for a worker with room. */
  admittedAtMs: number | null;
  /** Why it was not let in at the last look. */
  waits: string | null;
  startedAtMs: number | null;
  endedAtMs: number | null;
  worker: string | null;
  /** Grows with every change of who holds the run: who has an older one writes nothing any more. */
  fence: number;
  leaseUntilMs: number | null;
  askedBy: string;
  cancelRequested: number;
  input: string;
  progress: string | null;
  errorCode: string | null;
  error: string | null;
  result: string | null;
  bytes: number | null;
  addedBytes: number | null;
  snapshot: string | null;
}

export interface RunLogTable {
  runId: string;
  seq: number;
  atMs: number;
  event: string;
}

/** How far a schedule was seen to: what was due later is still to be decided. */
export interface ScheduleTable {
  key: string;
  seenToMs: number;
}

/** One holder at a time of a name, like `leader`. */
export interface LeaseTable {
  name: string;
  holder: string;
  fence: number;
  untilMs: number;
}

/** Workers and their signs of life. */
export interface WorkerTable {
  name: string;
  startedAtMs: number;
  seenAtMs: number;
  version: string;
  facts: string;
}

export interface EventTable {
  id: string;
  type: string;
  severity: string;
  atMs: number;
  source: string | null;
  repository: string | null;
  policy: string | null;
  run: string | null;
  title: string;
  message: string | null;
  remedy: string | null;
  errorCode: string | null;
  facts: string;
}

/** An event on its way through one channel. */
export interface DeliveryTable {
  eventId: string;
  channel: string;
  /** waiting | sent | failed | folded (told with a later one) */
  state: string;
  /** What the event is the same trouble as; null for what is none. */
  trouble: string | null;
  /** How often it happened by then, since when, and whether it ended a trouble: JSON. */
  detail: string;
  attempts: number;
  /** When it was to be told first. */
  dueAtMs: number;
  nextAtMs: number;
  sentAtMs: number | null;
  lastError: string | null;
}

/** A trouble that a channel was told of and that is not over. */
export interface StandingTable {
  channel: string;
  trouble: string;
  document: string;
}

/** How far somebody has read what is appended. */
export interface BookmarkTable {
  name: string;
  position: string;
}

/** A copy of what a repository lists. */
export interface SnapshotTable {
  repository: string;
  id: string;
  source: string | null;
  driver: string | null;
  /** The run that stored it, as far as its tags say. */
  run: string | null;
  timeMs: number;
  /** As it stands in the snapshot: RFC 3339 with its zone. */
  time: string;
  host: string;
  bytes: number | null;
  addedBytes: number | null;
  pinned: number;
  /** The whole snapshot file as JSON. */
  document: string;
}

/** One row a source and repository: what an overview needs of `snapshot` and `proof`, written whenever these change. */
export interface SourceStateTable {
  repository: string;
  source: string;
  snapshots: number;
  oldestMs: number | null;
  newestId: string | null;
  newestMs: number | null;
  newestTime: string | null;
  newestBytes: number | null;
  proofId: string | null;
  proofSnapshot: string | null;
  proofAtMs: number | null;
  proofVerdict: string | null;
  proofRestoreMs: number | null;
  /** The newest proof that passed. */
  passedSnapshot: string | null;
  passedAtMs: number | null;
  passedRestoreMs: number | null;
}

export interface ProofTable {
  repository: string;
  id: string;
  snapshot: string;
  source: string | null;
  startedAtMs: number;
  restoreMs: number;
  verdict: string;
  document: string;
}

/** Growth over time: one row a repository and look. */
export interface RepositorySizeTable {
  repository: string;
  atMs: number;
  storedBytes: number;
  /** Before compression and deduplication, of all snapshots. */
  restoredBytes: number | null;
  snapshots: number;
}

/** What was found out about a repository last: see `operations/repository-record.ts` for what a machine remembers itself. */
export interface RepositoryStateTable {
  repository: string;
  id: string | null;
  seenAtMs: number | null;
  errorCode: string | null;
  errorMessage: string | null;
  lastCheckAtMs: number | null;
  lastCheckOk: number | null;
}

export interface WorkspaceTable {
  name: string;
  title: string;
  createdAtMs: number;
}

export interface UserTable {
  id: string;
  name: string;
  email: string | null;
  /** argon2id in PHC form; null: signs in by other means only. */
  passwordHash: string | null;
  /** Sealed with the server's key. */
  totpSecret: string | null;
  /** The step of the last code that was taken: it and those before are refused. */
  totpStep: number | null;
  /** Hashes of one-time codes for who lost the second factor. */
  recoveryCodes: string | null;
  disabled: number;
  /** file | ui (a person, over the API or the command line) | oidc: who made it. What the file declares is changed there. */
  origin: string;
  createdAtMs: number;
  lastSeenAtMs: number | null;
}

/**
 * A role everywhere (`workspace` is `*`) or in one workspace. What the file says of a workspace counts alone; without it the
 * larger of what others gave.
 */
export interface MembershipTable {
  userId: string;
  workspace: string;
  role: string;
  /** file | ui | oidc: who gave it, and may take it back. */
  origin: string;
}

export interface IdentityTable {
  issuer: string;
  subject: string;
  userId: string;
}

export interface PasskeyTable {
  id: string;
  userId: string;
  publicKey: string;
  counter: number;
  transports: string;
  title: string;
  createdAtMs: number;
  lastUsedAtMs: number | null;
}

export interface SessionTable {
  /** SHA-256 of what the cookie holds. */
  idHash: string;
  userId: string;
  createdAtMs: number;
  seenAtMs: number;
  expiresAtMs: number;
  /** password | password+totp | password+recovery | passkey | oidc | set-up */
  method: string;
  address: string;
  agent: string;
}

/** Something begun that its next step has to prove: a second factor, a challenge, a way through a provider. Used once. */
export interface FlowTable {
  /** SHA-256 of what was given out. */
  tokenHash: string;
  purpose: string;
  userId: string | null;
  document: string;
  createdAtMs: number;
  expiresAtMs: number;
}

export interface TokenTable {
  id: string;
  title: string;
  /** What may be shown of it: its first characters. */
  prefix: string;
  /** SHA-256 of the whole. */
  hash: string;
  /** Of whom; their removal ends it. */
  userId: string;
  role: string;
  workspace: string;
  /** JSON list of source names it is restricted to; null: all. */
  sources: string | null;
  createdAtMs: number;
  expiresAtMs: number | null;
  lastUsedAtMs: number | null;
  revokedAtMs: number | null;
}

export interface AuditTable {
  id: string;
  atMs: number;
  /** Name of the user or token, `schedule`, or `cli`. */
  actor: string;
  action: string;
  subject: string | null;
  /** done | refused | failed */
  outcome: string;
  address: string | null;
  facts: string;
}

/** What was tried, for rate limits: attempts within a window by key. */
export interface AttemptTable {
  key: string;
  windowMs: number;
  count: number;
}

export interface AgentTable {
  name: string;
  id: string;
  /** SHA-256 of its certificate's public key. */
  keyHash: string;
  version: string | null;
  enrolledAtMs: number;
  seenAtMs: number | null;
  revokedAtMs: number | null;
  facts: string;
}

export interface EnrolmentTable {
  tokenHash: string;
  agent: string;
  createdAtMs: number;
  expiresAtMs: number;
  usedAtMs: number | null;
}

/** Entries of the configuration that the file does not own. */
export interface ObjectTable {
  section: string;
  name: string;
  /** As it would stand in the file, as JSON; secrets as references only. */
  value: string;
  changedAtMs: number;
  changedBy: string;
}

/** Secrets given over the API, sealed with the server's own key. */
export interface SecretTable {
  name: string;
  sealed: string;
  changedAtMs: number;
}

export interface IdempotencyTable {
  key: string;
  actor: string;
  requestHash: string;
  status: number | null;
  response: string | null;
  createdAtMs: number;
}

export interface DownloadTable {
  tokenHash: string;
  actor: string;
  input: string;
  createdAtMs: number;
  expiresAtMs: number;
  usedAtMs: number | null;
}

/** What a worker stopped for a backup and has to start again: see `runs/window`. */
export interface WindowTable {
  id: string;
  runId: string | null;
  worker: string;
  document: string;
  openedAtMs: number;
}

export interface Tables {
  run: RunTable;
  runLog: RunLogTable;
  schedule: ScheduleTable;
  lease: LeaseTable;
  worker: WorkerTable;
  happening: EventTable;
  delivery: DeliveryTable;
  standing: StandingTable;
  bookmark: BookmarkTable;
  snapshot: SnapshotTable;
  sourceState: SourceStateTable;
  proof: ProofTable;
  repositorySize: RepositorySizeTable;
  repositoryState: RepositoryStateTable;
  workspace: WorkspaceTable;
  account: UserTable;
  membership: MembershipTable;
  identity: IdentityTable;
  passkey: PasskeyTable;
  session: SessionTable;
  flow: FlowTable;
  token: TokenTable;
  audit: AuditTable;
  attempt: AttemptTable;
  agent: AgentTable;
  enrolment: EnrolmentTable;
  configObject: ObjectTable;
  sealedSecret: SecretTable;
  idempotency: IdempotencyTable;
  download: DownloadTable;
  openWindow: WindowTable;
}
