/** The first tables: see `tables.ts` for what they mean. Types that SQLite and PostgreSQL share; `!` = never null. */
import { type Kysely, sql } from 'kysely';
import type { Migration } from 'kysely/migration';

interface Shape {
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, 'text' | 'text!' | 'integer' | 'integer!' | 'bigint' | 'bigint!'>>;
}

const runs: Readonly<Record<string, Shape>> = {
  run: {
    key: ['id'],
    columns: {
      id: 'text!',
      kind: 'text!',
      source: 'text',
      repository: 'text',
      host: 'text!',
      policy: 'text',
      trigger: 'text!',
      slotMs: 'bigint',
      slotKey: 'text',
      state: 'text!',
      attempt: 'integer!',
      retryOf: 'text',
      notBeforeMs: 'bigint!',
      queuedAtMs: 'bigint!',
      admittedAtMs: 'bigint',
      waits: 'text',
      startedAtMs: 'bigint',
      endedAtMs: 'bigint',
      worker: 'text',
      fence: 'integer!',
      leaseUntilMs: 'bigint',
      askedBy: 'text!',
      cancelRequested: 'integer!',
      input: 'text!',
      progress: 'text',
      errorCode: 'text',
      error: 'text',
      result: 'text',
      bytes: 'bigint',
      addedBytes: 'bigint',
      snapshot: 'text',
    },
  },
  runLog: { key: ['runId', 'seq'], columns: { runId: 'text!', seq: 'integer!', atMs: 'bigint!', event: 'text!' } },
  schedule: { key: ['key'], columns: { key: 'text!', seenToMs: 'bigint!' } },
  lease: { key: ['name'], columns: { name: 'text!', holder: 'text!', fence: 'integer!', untilMs: 'bigint!' } },
  worker: {
    key: ['name'],
    columns: { name: 'text!', startedAtMs: 'bigint!', seenAtMs: 'bigint!', version: 'text!', facts: 'text!' },
  },
  happening: {
    key: ['id'],
    columns: {
      id: 'text!',
      type: 'text!',
      severity: 'text!',
      atMs: 'bigint!',
      source: 'text',
      repository: 'text',
      policy: 'text',
      run: 'text',
      title: 'text!',
      message: 'text',
      remedy: 'text',
      errorCode: 'text',
      facts: 'text!',
    },
  },
  delivery: {
    key: ['eventId', 'channel'],
    columns: {
      eventId: 'text!',
      channel: 'text!',
      state: 'text!',
      trouble: 'text',
      detail: 'text!',
      attempts: 'integer!',
      dueAtMs: 'bigint!',
      nextAtMs: 'bigint!',
      sentAtMs: 'bigint',
      lastError: 'text',
    },
  },
  standing: { key: ['channel', 'trouble'], columns: { channel: 'text!', trouble: 'text!', document: 'text!' } },
  bookmark: { key: ['name'], columns: { name: 'text!', position: 'text!' } },
  openWindow: {
    key: ['id'],
    columns: { id: 'text!', runId: 'text', worker: 'text!', document: 'text!', openedAtMs: 'bigint!' },
  },
};

const data: Readonly<Record<string, Shape>> = {
  snapshot: {
    key: ['repository', 'id'],
    columns: {
      repository: 'text!',
      id: 'text!',
      source: 'text',
      driver: 'text',
      run: 'text',
      timeMs: 'bigint!',
      time: 'text!',
      host: 'text!',
      bytes: 'bigint',
      addedBytes: 'bigint',
      pinned: 'integer!',
      document: 'text!',
    },
  },
  sourceState: {
    key: ['repository', 'source'],
    columns: {
      repository: 'text!',
      source: 'text!',
      snapshots: 'integer!',
      oldestMs: 'bigint',
      newestId: 'text',
      newestMs: 'bigint',
      newestTime: 'text',
      newestBytes: 'bigint',
      proofId: 'text',
      proofSnapshot: 'text',
      proofAtMs: 'bigint',
      proofVerdict: 'text',
      proofRestoreMs: 'bigint',
      passedSnapshot: 'text',
      passedAtMs: 'bigint',
      passedRestoreMs: 'bigint',
    },
  },
  proof: {
    key: ['repository', 'id'],
    columns: {
      repository: 'text!',
      id: 'text!',
      snapshot: 'text!',
      source: 'text',
      startedAtMs: 'bigint!',
      restoreMs: 'bigint!',
      verdict: 'text!',
      document: 'text!',
    },
  },
  repositorySize: {
    key: ['repository', 'atMs'],
    columns: {
      repository: 'text!',
      atMs: 'bigint!',
      storedBytes: 'bigint!',
      restoredBytes: 'bigint',
      snapshots: 'integer!',
    },
  },
  repositoryState: {
    key: ['repository'],
    columns: {
      repository: 'text!',
      id: 'text',
      seenAtMs: 'bigint',
      errorCode: 'text',
      errorMessage: 'text',
      lastCheckAtMs: 'bigint',
      lastCheckOk: 'integer',
    },
  },
};

const people: Readonly<Record<string, Shape>> = {
  workspace: { key: ['name'], columns: { name: 'text!', title: 'text!', createdAtMs: 'bigint!' } },
  account: {
    key: ['id'],
    columns: {
      id: 'text!',
      name: 'text!',
      email: 'text',
      passwordHash: 'text',
      totpSecret: 'text',
      totpStep: 'bigint',
      recoveryCodes: 'text',
      disabled: 'integer!',
      origin: 'text!',
      createdAtMs: 'bigint!',
      lastSeenAtMs: 'bigint',
    },
  },
  membership: {
    key: ['userId', 'workspace', 'origin'],
    columns: { userId: 'text!', workspace: 'text!', role: 'text!', origin: 'text!' },
  },
  identity: { key: ['issuer', 'subject'], columns: { issuer: 'text!', subject: 'text!', userId: 'text!' } },
  passkey: {
    key: ['id'],
    columns: {
      id: 'text!',
      userId: 'text!',
      publicKey: 'text!',
      counter: 'bigint!',
      transports: 'text!',
      title: 'text!',
      createdAtMs: 'bigint!',
      lastUsedAtMs: 'bigint',
    },
  },
  session: {
    key: ['idHash'],
    columns: {
      idHash: 'text!',
      userId: 'text!',
      createdAtMs: 'bigint!',
      seenAtMs: 'bigint!',
      expiresAtMs: 'bigint!',
      method: 'text!',
      address: 'text!',
      agent: 'text!',
    },
  },
  flow: {
    key: ['tokenHash'],
    columns: {
      tokenHash: 'text!',
      purpose: 'text!',
      userId: 'text',
      document: 'text!',
      createdAtMs: 'bigint!',
      expiresAtMs: 'bigint!',
    },
  },
  token: {
    key: ['id'],
    columns: {
      id: 'text!',
      title: 'text!',
      prefix: 'text!',
      hash: 'text!',
      userId: 'text!',
      role: 'text!',
      workspace: 'text!',
      sources: 'text',
      createdAtMs: 'bigint!',
      expiresAtMs: 'bigint',
      lastUsedAtMs: 'bigint',
      revokedAtMs: 'bigint',
    },
  },
  audit: {
    key: ['id'],
    columns: {
      id: 'text!',
      atMs: 'bigint!',
      actor: 'text!',
      action: 'text!',
      subject: 'text',
      outcome: 'text!',
      address: 'text',
      facts: 'text!',
    },
  },
  attempt: { key: ['key', 'windowMs'], columns: { key: 'text!', windowMs: 'bigint!', count: 'integer!' } },
};

const rest: Readonly<Record<string, Shape>> = {
  agent: {
    key: ['name'],
    columns: {
      name: 'text!',
      id: 'text!',
      keyHash: 'text!',
      version: 'text',
      enrolledAtMs: 'bigint!',
      seenAtMs: 'bigint',
      revokedAtMs: 'bigint',
      facts: 'text!',
    },
  },
  enrolment: {
    key: ['tokenHash'],
    columns: { tokenHash: 'text!', agent: 'text!', createdAtMs: 'bigint!', expiresAtMs: 'bigint!', usedAtMs: 'bigint' },
  },
  configObject: {
    key: ['section', 'name'],
    columns: { section: 'text!', name: 'text!', value: 'text!', changedAtMs: 'bigint!', changedBy: 'text!' },
  },
  sealedSecret: { key: ['name'], columns: { name: 'text!', sealed: 'text!', changedAtMs: 'bigint!' } },
  idempotency: {
    key: ['actor', 'key'],
    columns: {
      key: 'text!',
      actor: 'text!',
      requestHash: 'text!',
      status: 'integer',
      response: 'text',
      createdAtMs: 'bigint!',
    },
  },
  download: {
    key: ['tokenHash'],
    columns: {
      tokenHash: 'text!',
      actor: 'text!',
      input: 'text!',
      createdAtMs: 'bigint!',
      expiresAtMs: 'bigint!',
      usedAtMs: 'bigint',
    },
  },
};

/** `only`: a column; rows in which it is 1. */
const indexes: readonly { name: string; table: string; columns: readonly string[]; unique?: true; only?: string }[] = [
  { name: 'run_slot', table: 'run', columns: ['slotKey'], unique: true },
  { name: 'run_state', table: 'run', columns: ['state', 'notBeforeMs'] },
  { name: 'run_by_slot', table: 'run', columns: ['slotMs', 'policy'] },
  { name: 'run_by_state', table: 'run', columns: ['state', 'id'] },
  { name: 'run_by_source', table: 'run', columns: ['source', 'kind', 'id'] },
  { name: 'run_by_repository', table: 'run', columns: ['repository', 'state', 'id'] },
  { name: 'run_by_policy', table: 'run', columns: ['policy', 'state', 'id'] },
  { name: 'run_by_kind', table: 'run', columns: ['kind', 'state', 'id'] },
  { name: 'happening_of_run', table: 'happening', columns: ['run'] },
  { name: 'happening_by_source', table: 'happening', columns: ['source', 'id'] },
  { name: 'happening_by_severity', table: 'happening', columns: ['severity', 'id'] },
  { name: 'delivery_next', table: 'delivery', columns: ['channel', 'state', 'nextAtMs'] },
  { name: 'delivery_sent', table: 'delivery', columns: ['channel', 'sentAtMs'] },
  { name: 'snapshot_newest', table: 'snapshot', columns: ['timeMs', 'id'] },
  { name: 'snapshot_by_repository', table: 'snapshot', columns: ['repository', 'timeMs', 'id'] },
  { name: 'snapshot_by_source', table: 'snapshot', columns: ['source', 'timeMs', 'id'] },
  { name: 'snapshot_of_source', table: 'snapshot', columns: ['repository', 'source', 'timeMs'] },
  { name: 'snapshot_pinned', table: 'snapshot', columns: ['repository'], only: 'pinned' },
  { name: 'snapshot_by_id', table: 'snapshot', columns: ['id'] },
  { name: 'source_state_source', table: 'sourceState', columns: ['source'] },
  { name: 'proof_newest', table: 'proof', columns: ['startedAtMs', 'id'] },
  { name: 'proof_by_source', table: 'proof', columns: ['source', 'startedAtMs', 'id'] },
  { name: 'proof_of_source', table: 'proof', columns: ['repository', 'source', 'startedAtMs'] },
  { name: 'proof_by_snapshot', table: 'proof', columns: ['snapshot'] },
  { name: 'account_name', table: 'account', columns: ['name'], unique: true },
  { name: 'token_hash', table: 'token', columns: ['hash'], unique: true },
  { name: 'account_email', table: 'account', columns: ['email'] },
  { name: 'token_user', table: 'token', columns: ['userId'] },
  { name: 'passkey_user', table: 'passkey', columns: ['userId'] },
  { name: 'session_user', table: 'session', columns: ['userId'] },
  { name: 'audit_newest', table: 'audit', columns: ['atMs'] },
];

export const first: Migration = {
  async up({ schema }: Kysely<unknown>) {
    for (const [table, shape] of Object.entries({ ...runs, ...data, ...people, ...rest })) {
      let creation = schema
        .createTable(table)
        .addPrimaryKeyConstraint(`pk_${table.toLowerCase()}`, [...shape.key] as never[]);
      for (const [column, text] of Object.entries(shape.columns)) {
        const type = text.replace('!', '') as 'text' | 'integer' | 'bigint';
        creation = creation.addColumn(column, type, (c) => (text.endsWith('!') ? c.notNull() : c)) as typeof creation;
      }
      await creation.execute();
    }
    for (const { name, table, columns, unique, only } of indexes) {
      const creation = schema
        .createIndex(name)
        .on(table)
        .columns([...columns]);
      const whole = unique ? creation.unique() : creation;
      await (only === undefined ? whole : whole.where(sql.ref(only), '=', sql.lit(1))).execute();
    }
  },
};
