/**
 * Every metric that is exported: its name, what it means, its labels. Names and units follow the conventions of Prometheus
 * (https://prometheus.io/docs/practices/naming/): base units, instants as timestamps. docs/metrics.md says the same, and a
 * test compares the two. Names are never reused for something else.
 */
export const metricNames = {
  holdfast_build_info: { help: 'Always 1; the version is a label.', labels: ['version'] },
  holdfast_collected_timestamp_seconds: { help: 'When these figures were collected.', labels: [] },
  holdfast_source_info: { help: 'Always 1; what the source is.', labels: ['source', 'driver', 'host', 'policy'] },
  holdfast_source_safe: {
    help: '1 if the source can be restored from there, as far as is known; 0 if status has a concern.',
    labels: ['source', 'repository'],
  },
  holdfast_source_snapshots: { help: 'Snapshots of the source in the repository.', labels: ['source', 'repository'] },
  holdfast_source_last_success_timestamp_seconds: {
    help: 'The moment of the newest snapshot of the source in the repository.',
    labels: ['source', 'repository'],
  },
  holdfast_source_recovery_point_age_seconds: {
    help: 'Age of that snapshot when the figures were collected: what would be lost.',
    labels: ['source', 'repository'],
  },
  holdfast_source_recovery_point_limit_seconds: {
    help: 'Age at which the newest snapshot counts as too old, by the policy of the source.',
    labels: ['source', 'repository'],
  },
  holdfast_source_copies_behind: {
    help: 'Snapshots that are newer than all in this repository and were not copied to it yet.',
    labels: ['source', 'repository'],
  },
  holdfast_source_last_drill_timestamp_seconds: {
    help: 'When the source was last restored on trial, whatever came of it.',
    labels: ['source', 'repository'],
  },
  holdfast_source_last_drill_success: {
    help: '1 if that drill passed, 0 if it failed.',
    labels: ['source', 'repository'],
  },
  holdfast_source_proof_timestamp_seconds: {
    help: 'When the last drill that passed was made.',
    labels: ['source', 'repository'],
  },
  holdfast_source_proof_age_seconds: {
    help: 'Age of the last drill that passed when the figures were collected.',
    labels: ['source', 'repository'],
  },
  holdfast_source_proof_limit_seconds: {
    help: 'Age at which a proof counts as stale, by the policy of the source. Absent where it says that nothing is drilled.',
    labels: ['source', 'repository'],
  },
  holdfast_source_recovery_time_seconds: {
    help: 'How long the last drill took to restore: the measured recovery time.',
    labels: ['source', 'repository'],
  },
  holdfast_source_last_run_timestamp_seconds: {
    help: 'When the last run of that kind ended, or was missed. Of drills: in that repository, of those that came to an end.',
    labels: ['source', 'kind', 'repository'],
  },
  holdfast_source_last_run_success: {
    help: '1 if that run succeeded; 0 if it failed, was missed or cancelled.',
    labels: ['source', 'kind', 'repository'],
  },
  holdfast_source_last_run_duration_seconds: {
    help: 'How long that run took.',
    labels: ['source', 'kind', 'repository'],
  },
  holdfast_source_last_run_bytes: {
    help: 'Bytes that run read.',
    labels: ['source', 'kind', 'repository'],
  },
  holdfast_source_last_run_added_bytes: {
    help: 'Bytes it added to the repository, after deduplication and compression.',
    labels: ['source', 'kind', 'repository'],
  },
  holdfast_repository_reachable: {
    help: '1 if the repository answered; 0 if not. One that may be away and is, is not there at all.',
    labels: ['repository'],
  },
  holdfast_repository_snapshots: { help: 'Snapshots of declared sources in the repository.', labels: ['repository'] },
  holdfast_repository_stored_bytes: { help: 'Bytes the repository takes on its storage.', labels: ['repository'] },
  holdfast_repository_restored_bytes: {
    help: 'Bytes all its snapshots would take if each were restored.',
    labels: ['repository'],
  },
  holdfast_repository_dedup_ratio: { help: 'Restored bytes by stored bytes.', labels: ['repository'] },
  holdfast_repository_missing_copies: {
    help: 'Snapshots of all sources that should be in the repository and are not.',
    labels: ['repository'],
  },
  holdfast_repository_last_check_timestamp_seconds: { help: 'When it was last checked.', labels: ['repository'] },
  holdfast_repository_last_check_success: {
    help: '1 if the last check found no fault, 0 if it did.',
    labels: ['repository'],
  },
  holdfast_recent_runs: { help: 'Runs of the last 24 hours, by how they stand.', labels: ['kind', 'state'] },
  holdfast_runs_running: { help: 'Runs that go on now.', labels: [] },
  holdfast_queue_length: { help: 'Runs that wait.', labels: [] },
  holdfast_queue_oldest_seconds: { help: 'How long the first of them waits since it might begin.', labels: [] },
  holdfast_workers_connected: { help: 'Workers heard of within the last minute.', labels: [] },
  holdfast_agents_enrolled: { help: 'Agents that may connect.', labels: [] },
  holdfast_agents_connected: { help: 'Agents heard of within the last two minutes.', labels: [] },
  holdfast_recent_notifications: {
    help: 'Notifications about events of the last 24 hours, by how they stand.',
    labels: ['channel', 'state'],
  },
} as const satisfies Record<string, { readonly help: string; readonly labels: readonly string[] }>;

export type MetricName = keyof typeof metricNames;
