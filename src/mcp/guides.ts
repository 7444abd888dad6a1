/** Resources and prompts: runbooks to read, and questions that people ask, put so that the tools answer them. */
import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';
import { runbook } from '../operations/runbook/runbook.ts';
import type { McpParts, McpUses } from './parts.ts';
import { mayAnywhere, requireSource, seenBy } from './rights.ts';

const mostSuggested = 50;

export function registerRunbooks(server: McpServer, parts: McpParts): void {
  if (!mayAnywhere(parts.principal, runbook.permission)) return;
  const names = (signal: AbortSignal): string[] => visibleSources(parts.uses(signal));
  const template = new ResourceTemplate('runbook://{source}', {
    list: ({ signal }) => ({
      resources: names(signal).map((name) => ({
        uri: uriOf(name),
        name: `runbook of ${name}`,
        mimeType: 'text/markdown',
      })),
    }),
    complete: {
      source: (begun) =>
        names(new AbortController().signal)
          .filter((name) => name.startsWith(begun))
          .slice(0, mostSuggested),
    },
  });
  const about = {
    title: 'Runbooks',
    description: 'How to restore each source, step by step, from its newest snapshot and last proof.',
    mimeType: 'text/markdown',
  };
  server.registerResource('runbook', template, about, async (uri, { source }, { signal }) => {
    const uses = parts.uses(signal);
    const name = decodeURIComponent(String(source));
    requireSource(name, runbook.permission, uses);
    const { runbooks } = await runbook.run({ sources: [name], all: false }, uses);
    return { contents: [{ uri: uri.href, mimeType: 'text/markdown', text: runbooks[0].text ?? '' }] };
  });
}

function uriOf(source: string): string {
  return `runbook://${encodeURIComponent(source)}`;
}

function visibleSources(uses: McpUses): string[] {
  const seen = seenBy(uses, runbook.permission);
  return [...uses.config.sources.keys()].filter((name) => seen.source(name));
}

export function registerPrompts(server: McpServer): void {
  const source = { source: z.string().describe('Name of a source.') };
  server.registerPrompt(
    'why_not_safe',
    {
      title: 'Why is it not safe?',
      description: 'Finds out why a source is not safely restorable, and what to do.',
      argsSchema: source,
    },
    ({ source: name }) =>
      asked(
        `Why is the source «${name}» not safe, and what should I do? Call status for it first. If a run failed, call diagnose_run. If it was never proven or its proof is old, look at list_proofs. ` +
          'Answer in three parts: what is wrong, why, and the one next step. Do not start anything before I agree to its plan.',
      ),
  );
  server.registerPrompt(
    'morning_report',
    { title: 'Morning report', description: 'What happened last night, and what needs somebody.' },
    () =>
      asked(
        'Report on the backups of the last day: call status, and list_runs with the states failed and missed. For each failure call diagnose_run. ' +
          'Begin with what is not safe; what went well is one line. Name the command or tool for each next step.',
      ),
  );
  server.registerPrompt(
    'plan_restore',
    { title: 'Plan a restore', description: 'Prepares the restore of a source, without doing it.', argsSchema: source },
    ({ source: name }) =>
      asked(
        `I have to restore «${name}». Read runbook://${encodeURIComponent(name)} and list_snapshots, ask me from when the state should be, tell me how long it took the last time, and offer to restore beside what is there first. ` +
          'Do nothing before I agree to the plan.',
      ),
  );
}

function asked(text: string) {
  return { messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }] };
}
