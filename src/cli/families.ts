/** Every command with one line about it. The file of a command is loaded only when it is the one that is asked for. */
import type { Command } from 'commander';
import type { Face } from './face.ts';

export interface Family {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ add(program: Command, face: Face): void }>;
}

export const families: readonly Family[] = [
  {
    name: 'demo',
    summary: 'a live database is backed up, restored and proven, in a folder of its own',
    load: () => import('./commands/demo.ts'),
  },
  {
    name: 'init',
    summary: 'look around this machine and write a commented holdfast.yaml',
    load: () => import('./commands/init.ts'),
  },
  { name: 'validate', summary: 'check holdfast.yaml', load: () => import('./commands/validate.ts') },
  {
    name: 'plan',
    summary: 'what holdfast.yaml would change, and what that comes to',
    load: () => import('./commands/plan.ts'),
  },
  { name: 'apply', summary: 'put holdfast.yaml to use', load: () => import('./commands/apply.ts') },
  {
    name: 'object',
    summary: 'entries of the configuration that the file does not own',
    load: () => import('./commands/object.ts'),
  },
  {
    name: 'export',
    summary: 'print the whole configuration as one file',
    load: () => import('./commands/export.ts'),
  },
  {
    name: 'backup',
    summary: 'back sources up',
    load: () => import('./commands/backup.ts'),
  },
  { name: 'snapshots', summary: 'list snapshots', load: () => import('./commands/snapshots.ts') },
  { name: 'ls', summary: 'list what is in a snapshot', load: () => import('./commands/ls.ts') },
  { name: 'find', summary: 'search snapshots for names', load: () => import('./commands/find.ts') },
  { name: 'diff', summary: 'compare two snapshots', load: () => import('./commands/diff.ts') },
  { name: 'cat', summary: 'print a file of a snapshot', load: () => import('./commands/cat.ts') },
  { name: 'download', summary: 'save a file of a snapshot', load: () => import('./commands/download.ts') },
  { name: 'restore', summary: 'restore a snapshot, or a part of it', load: () => import('./commands/restore.ts') },
  {
    name: 'drill',
    summary: 'prove a snapshot by restoring it into a throwaway place',
    load: () => import('./commands/drill.ts'),
  },
  { name: 'proofs', summary: 'list what was proven', load: () => import('./commands/proofs.ts') },
  {
    name: 'status',
    summary: 'what is not safely restorable now, and why',
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'coverage',
    summary: 'what is protected, and what is not covered at all',
    load: () => import('./commands/coverage.ts'),
  },
  {
    name: 'runbook',
    summary: 'the exact steps to restore a source',
    load: () => import('./commands/runbook.ts'),
  },
  {
    name: 'serve',
    summary: 'run day and night: schedules, the HTTP API, notifications',
    load: () => import('./commands/serve.ts'),
  },
  { name: 'run', summary: 'do what is due now, and end', load: () => import('./commands/run.ts') },
  {
    name: 'worker',
    summary: 'take runs from a shared catalogue, beside a server',
    load: () => import('./commands/worker.ts'),
  },
  { name: 'runs', summary: 'what was done, is being done, and waits', load: () => import('./commands/runs.ts') },
  { name: 'events', summary: 'what happened', load: () => import('./commands/events.ts') },
  {
    name: 'catalogue',
    summary: 'what Holdfast remembers, and how it is made anew',
    load: () => import('./commands/catalogue.ts'),
  },
  {
    name: 'notify',
    summary: 'who is told of what: try channels out, see what was sent',
    load: () => import('./commands/notify.ts'),
  },
  { name: 'user', summary: 'who may sign in, and what they may do', load: () => import('./commands/user.ts') },
  { name: 'token', summary: 'tokens for programs that use the API', load: () => import('./commands/token.ts') },
  {
    name: 'agent',
    summary: 'other machines that do their own backups, for this server',
    load: () => import('./commands/agent.ts'),
  },
  { name: 'audit', summary: 'who did what', load: () => import('./commands/audit.ts') },
  { name: 'metrics', summary: 'figures for Prometheus', load: () => import('./commands/metrics.ts') },
  {
    name: 'report',
    summary: 'what a month was like: what went well, what did not, how repositories grew',
    load: () => import('./commands/report.ts'),
  },
  { name: 'forget', summary: 'remove snapshots, by rule or by name', load: () => import('./commands/forget.ts') },
  { name: 'pin', summary: 'never let a snapshot be removed', load: () => import('./commands/pin.ts') },
  { name: 'unpin', summary: 'leave a snapshot to retention again', load: () => import('./commands/unpin.ts') },
  { name: 'repo', summary: 'make, check and tidy repositories', load: () => import('./commands/repo.ts') },
  { name: 'driver', summary: 'try out a driver on a source', load: () => import('./commands/driver.ts') },
  { name: 'host', summary: 'try out a host', load: () => import('./commands/host.ts') },
  { name: 'storage', summary: 'try out a place to store', load: () => import('./commands/storage.ts') },
  { name: 'mcp', summary: 'let an assistant ask and act', load: () => import('./commands/mcp.ts') },
  {
    name: 'completion',
    summary: 'print a completion script for a shell',
    load: () => import('./commands/completion.ts'),
  },
];
