/** What every command has at hand: the configuration, the screen, the signal, and how to perform an operation. */
import { resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { CatalogueAccess, Execution, Operation, SourceAccess } from '../operations/operation.ts';
import type { Screen } from './screen.ts';

/** What this program was built with; each part is loaded when a command needs it. */
export interface Parts {
  drivers(): Promise<SourceAccess['drivers']>;
  storageKinds(): Promise<SourceAccess['storageKinds']>;
  localHost(): Promise<SourceAccess['localHost']>;
  hostKinds(): Promise<SourceAccess['hostKinds']>;
  channelKinds(): Promise<SourceAccess['channelKinds']>;
  openContainers: SourceAccess['openContainers'];
  serve(): Promise<(request: ServeRequest) => Promise<void>>;
  work(): Promise<(request: WorkRequest) => Promise<void>>;
  mcp(): Promise<(request: McpRequest) => Promise<void>>;
}

/** What `serve` is given: it is put together elsewhere. */
export interface ServeRequest {
  readonly uses: SourceAccess & Execution;
  readonly listen?: string;
  readonly logLevel: string;
  readonly say: (text: string) => void;
}

/** What `worker` is given. */
export interface WorkRequest {
  readonly uses: SourceAccess & Execution;
  readonly capacity: number;
  readonly logLevel: string;
  readonly say: (text: string) => void;
}

/** What `mcp` is given; `isServed`: a server performs what is queued in the catalogue. */
export type McpRequest = SourceAccess &
  Execution &
  Pick<CatalogueAccess, 'principal'> &
  Partial<CatalogueAccess> & { readonly isServed: boolean };

export interface FaceOptions {
  readonly parts: Parts;
  readonly screen: Screen;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly env: SourceAccess['env'];
  /** As given with --config. */
  readonly configFile?: string;
}

const defaultFile = 'holdfast.yaml';

export class Face {
  readonly parts: Parts;
  readonly screen: Screen;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly env: SourceAccess['env'];
  /** 0 until a command says that something is wrong. */
  exitStatus = 0;
  readonly #namedFile: string | undefined;

  constructor(options: FaceOptions) {
    this.parts = options.parts;
    this.screen = options.screen;
    this.clock = options.clock;
    this.signal = options.signal;
    this.env = options.env;
    this.#namedFile = options.configFile ?? (options.env.HOLDFAST_CONFIG || undefined);
  }

  get configFile(): string {
    return this.#namedFile ?? defaultFile;
  }

  get execution(): Execution {
    return { clock: this.clock, signal: this.signal, report: this.screen.report };
  }

  /**
   * Everything operations use, with the configuration read. A repository given by its address (`/mnt/nas/x`, `s3:…`) needs
   * no configuration: without a file there is then nothing declared.
   */
  async uses(repository?: string): Promise<SourceAccess & Execution> {
    const addressed = repository !== undefined && /[/:]/.test(repository) && this.#namedFile === undefined;
    const uses = await this.#uses((error) => addressed && hasCode(error, 'config.missing'));
    const { repairLeftWindows } = await import('../operations/left-windows.ts');
    for (const warning of uses.config.warnings) {
      if (warning.kind !== 'clear-secret') continue;
      this.screen.say(`warning: ${warning.file}:${warning.line}: ${warning.path} ${warning.message}`);
    }
    for (const { file, path, message } of uses.config.leftOut) this.screen.say(`warning: ${file}: ${path} ${message}`);
    // Somebody counts on what is left out: whatever else goes well, not all is.
    if (uses.config.leftOut.length > 0) this.exitStatus = 1;
    await repairLeftWindows(uses);
    return uses;
  }

  /** The same where a configuration is about to be written: one that is missing or wrong counts for nothing. */
  async bareUses(): Promise<SourceAccess & Execution> {
    return await this.#uses((error) => hasCode(error, 'config.missing', 'config.invalid'));
  }

  async #uses(isNoMatter: (error: unknown) => boolean): Promise<SourceAccess & Execution> {
    const [drivers, storageKinds, hostKinds, channelKinds, localHost, configuration] = await Promise.all([
      this.parts.drivers(),
      this.parts.storageKinds(),
      this.parts.hostKinds(),
      this.parts.channelKinds(),
      this.parts.localHost(),
      import('../operations/configuration.ts'),
    ]);
    const { emptyConfig, loadConfig, withContainerSecrets, withLabels } = configuration;
    const { openContainers } = this.parts;
    const kinds = withContainerSecrets({ drivers, storageKinds, hostKinds, channelKinds }, { openContainers });
    const written = await loadConfig(this.configFile, kinds).catch((error: unknown) => {
      if (isNoMatter(error)) return emptyConfig(resolve(this.configFile));
      throw error;
    });
    const config = await withLabels(written, kinds, { openContainers });
    return { config, ...kinds, localHost, openContainers, env: this.env, ...this.execution };
  }

  /** Runs an operation and shows its outcome; `wrong` says whether the outcome means exit status 1. */
  async perform<Input, Output extends object, Uses>(
    operation: Operation<Input, Output, Uses>,
    input: unknown,
    uses: Uses,
    show: { text: (output: Output) => string; wrong?: (output: Output) => boolean },
  ): Promise<void> {
    const parsed = operation.input.safeParse(input);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw new HoldfastError({
        code: 'usage.invalid',
        message: `${operation.name}: ${issue.path.join('.')}: ${issue.message}`,
        remedy: `See: holdfast ${operation.name} --help`,
      });
    }
    const output = await operation.run(parsed.data, uses);
    this.screen.result(output, this.screen.json ? '' : show.text(output));
    if (show.wrong?.(output)) this.exitStatus = 1;
  }
}
