/** What every command has at hand: the configuration, the screen, the signal, and how to perform an operation. */
import { resolve } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { HoldfastError, hasCode, messageOf } from '../base/errors.ts';
import type { Secret } from '../base/secrets.ts';
import type { CatalogueAccess, Execution, Operation, SourceAccess } from '../operations/operation.ts';
import type { RemoteServer } from './remote/server.ts';
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
  mcp(): Promise<McpProgram>;
  agent(): Promise<AgentProgram>;
}

/** What a machine does that is an agent of a server elsewhere. */
export interface AgentProgram {
  join(request: {
    readonly token: string;
    readonly stateDirectory: string;
    readonly replace: boolean;
  }): Promise<{ readonly name: string; readonly address: string }>;
  run(request: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly env: SourceAccess['env'];
    readonly stateDirectory: string;
    readonly logLevel: string;
  }): Promise<void>;
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

/** What `mcp` does here, or hands on to a server. */
export interface McpProgram {
  serveStdio(request: McpRequest): Promise<void>;
  proxyStdio(request: { readonly url: string; readonly token: Secret; readonly signal: AbortSignal }): Promise<void>;
}

/** `isServed`: a server performs what is queued in the catalogue. */
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
  /** As given with --server: what is done is done there. */
  readonly server?: string;
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
  /** Address of the server that does what is asked for, instead of this machine. */
  readonly server: string | undefined;
  readonly #namedFile: string | undefined;
  #remote: Promise<RemoteServer> | undefined;

  constructor(options: FaceOptions) {
    this.parts = options.parts;
    this.screen = options.screen;
    this.clock = options.clock;
    this.signal = options.signal;
    this.env = options.env;
    this.server = options.server ?? (options.env.HOLDFAST_SERVER || undefined);
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
    if (this.server !== undefined) return nothingHere(this.execution);
    const addressed = repository !== undefined && /[/:]/.test(repository) && this.#namedFile === undefined;
    const uses = await this.#uses((error) => addressed && hasCode(error, 'config.missing'));
    const { repairLeftWindows } = await import('../operations/sources/left-windows.ts');
    for (const warning of uses.config.warnings) {
      if (warning.kind !== 'clear-secret') continue;
      this.screen.say(`warning: ${warning.file}:${warning.line}: ${warning.path} ${warning.message}`);
    }
    for (const { file, path, message } of uses.config.leftOut) this.screen.say(`warning: ${file}: ${path} ${message}`);
    // Somebody counts on what is left out: whatever else goes well, not all is.
    if (uses.config.leftOut.length > 0) this.exitStatus = 1;
    // Whatever is wrong with the records of windows, a restore must not fail for it.
    await repairLeftWindows(uses).catch((error: unknown) =>
      this.screen.say(`warning: what a backup left stopped cannot be looked for: ${messageOf(error)}`),
    );
    return uses;
  }

  /** The same where a configuration is about to be written: one that is missing or wrong counts for nothing. */
  async bareUses(): Promise<SourceAccess & Execution> {
    if (this.server !== undefined) throw onlyHere();
    return await this.#uses((error) => hasCode(error, 'config.missing', 'config.invalid'));
  }

  async #uses(isNoMatter: (error: unknown) => boolean): Promise<SourceAccess & Execution> {
    const [drivers, storageKinds, hostKinds, channelKinds, localHost, configuration] = await Promise.all([
      this.parts.drivers(),
      this.parts.storageKinds(),
      this.parts.hostKinds(),
      this.parts.channelKinds(),
      this.parts.localHost(),
      import('../operations/configuration/configuration.ts'),
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

  /** Performs it, here or on the server. */
  async run<Input, Output, Uses>(operation: Operation<Input, Output, Uses>, input: Input, uses: Uses): Promise<Output> {
    if (this.server === undefined) return await operation.run(input, uses);
    const [{ performRemotely }, server] = await Promise.all([import('./remote/perform.ts'), this.#openServer()]);
    const { emit } = uses as { emit?: (item: never) => Promise<void> };
    return await performRemotely(operation, input, { server, report: this.screen.report, emit });
  }

  async #openServer(): Promise<RemoteServer> {
    this.#remote ??= this.#connect(this.server!);
    return await this.#remote;
  }

  async #connect(url: string): Promise<RemoteServer> {
    const [{ RemoteServer }, { readToken }] = await Promise.all([
      import('./remote/server.ts'),
      import('./remote/token.ts'),
    ]);
    const { clock, signal, env } = this;
    let token: ReturnType<typeof readToken> | undefined;
    const server = new RemoteServer({
      ...{ url, clock, signal },
      token: () => {
        token ??= readToken(env);
        return token;
      },
    });
    if (server.isInTheClear) this.screen.say(`warning: the token travels unencrypted to ${server.url}: use https`);
    return server;
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
    const output = await this.run(operation, parsed.data, uses);
    this.screen.result(output, this.screen.json ? '' : show.text(output));
    if (show.wrong?.(output)) this.exitStatus = 1;
  }
}

/** With --server, nothing of this machine is used: a command that needs it says so instead of doing something else here. */
function nothingHere(execution: Execution): SourceAccess & Execution {
  return new Proxy(execution as SourceAccess & Execution, {
    get: (target, name, receiver) => {
      // What waits for a promise looks whether this is one.
      if (typeof name === 'symbol' || name === 'then' || name === 'emit' || Object.hasOwn(target, name)) {
        return Reflect.get(target, name, receiver) as unknown;
      }
      throw onlyHere();
    },
  });
}

function onlyHere(): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: 'this is not done through a server',
    remedy: 'Run it on the machine of the server, without --server (and without HOLDFAST_SERVER).',
  });
}
