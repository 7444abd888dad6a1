/** What an MCP server is put together from. */
import type { Principal } from '../model/principal.ts';
import type { CatalogueAccess, Execution, SourceAccess } from '../operations/operation.ts';
import type { Confirmations } from './confirmations.ts';
import type { LocalRuns } from './local-runs.ts';

/** Everything operations use here, at this moment; without a catalogue nothing remembers runs. */
export type McpUses = SourceAccess &
  Execution & { readonly principal: Principal } & Partial<Pick<CatalogueAccess, 'catalogue'>>;

export interface McpParts {
  /** The configuration as it is now. `signal`: the request was taken back. */
  uses(signal: AbortSignal): McpUses;
  readonly principal: Principal;
  /** Shared by all sessions of a server: what one of them issued is known to the others. */
  readonly confirmations: Confirmations;
  /** Where there is no server to queue runs at: they are performed here. */
  readonly localRuns?: LocalRuns;
  /** Writes down what was done or refused. */
  readonly record?: (entry: McpAudit) => Promise<void>;
}

export interface McpAudit {
  /** As `mcp.start_backup`. */
  readonly action: string;
  readonly subject?: string;
  readonly outcome: 'done' | 'refused' | 'failed';
}
