/** The command line: parse, run one command, say how it ended. */
import { closeSync, openSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { systemClock } from '../base/clock.ts';
import { cancelled, systemCode } from '../base/errors.ts';
import { programVersion } from '../base/version.ts';
import { describeError, exitStatusOf } from '../operations/describe-error.ts';
import { Face, type Parts } from './face.ts';
import { families } from './families.ts';
import { Screen } from './screen.ts';

/** Options of the program itself that take a value. */
const valued = new Set(['--config', '--server']);
const wholeHelp = new Set(['completion', 'help']);

/** Runs `holdfast ARGV…`; resolves with the exit status (SPEC 8): 0 done, 1 failed, 2 wrong use, 130 cancelled. */
export async function runCli(argv: readonly string[], parts: Parts): Promise<number> {
  const words = beforeDashes(argv);
  const json = words.includes('--json');
  const screen = new Screen({ json, stdout: process.stdout, stderr: process.stderr, clock: systemClock });
  const stop = new AbortController();
  watchOutput();
  watchSignals(stop, screen);
  const face = new Face({
    parts,
    screen,
    clock: systemClock,
    signal: stop.signal,
    env: process.env,
    configFile: optionValue('--config', words),
    server: optionValue('--server', words),
  });
  try {
    const program = await buildProgram(face, requested(argv));
    await program.parseAsync([...argv], { from: 'user' });
    return face.exitStatus;
  } catch (error) {
    return fail(error, screen, stop.signal);
  }
}

/** The program with the requested command in full and the others by name; all of them in full for `undefined`. */
export async function buildProgram(face: Face, only: string | undefined): Promise<Command> {
  const program = new Command('holdfast')
    .description('Backups that are proven by restoring them.')
    .version(programVersion, '--version', 'print the version')
    .option('--config <file>', 'the configuration (default: holdfast.yaml, or what HOLDFAST_CONFIG names)')
    .option('--server <url>', 'ask a server to do it, with the token in HOLDFAST_TOKEN or ~/.config/holdfast/token')
    .option('--json', 'print JSON: one document, or lines for commands that make progress')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => {} });
  for (const family of families) {
    const full = only === family.name || wholeHelp.has(only ?? 'help');
    if (full) (await family.load()).add(program, face);
    else program.command(family.name).description(family.summary).allowUnknownOption().allowExcessArguments();
  }
  return program;
}

function requested(words: readonly string[]): string {
  const at = words.findIndex((word, i) => !word.startsWith('-') && !valued.has(i > 0 ? words[i - 1] : ''));
  return words[at] ?? '';
}

function beforeDashes(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end < 0 ? argv : argv.slice(0, end);
}

function optionValue(option: string, words: readonly string[]): string | undefined {
  const at = words.findLastIndex((word) => word === option || word.startsWith(`${option}=`));
  if (at < 0) return undefined;
  return words[at] === option ? words[at + 1] : words[at].slice(option.length + 1);
}

function fail(error: unknown, screen: Screen, signal: AbortSignal): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const message = error.message.replace(/^error: /, '');
    // Commander prints the help itself when a command is missing; there is nothing to add.
    if (error.code !== 'commander.help') {
      screen.error({ code: 'usage.invalid', message, remedy: 'See: holdfast --help' });
    }
    return 2;
  }
  // Whatever a cancelled run breaks with, it ended because it was told to.
  const description = describeError(signal.aborted ? cancelled(error) : error);
  screen.error(description);
  if (description.code === 'internal' && process.env.HOLDFAST_DEBUG) screen.say(String((error as Error).stack));
  return exitStatusOf(description.code);
}

/**
 * The first Ctrl-C asks the run to end in order, the second does not ask. SIGHUP counts only when the terminal is gone:
 * restic sends it to the holder of a lock to see whether it lives, and that must not end a backup.
 */
function watchSignals(stop: AbortController, screen: Screen): void {
  const hadTerminal = hasTerminal();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (name === 'SIGHUP' && hasTerminal() === hadTerminal) return;
      if (stop.signal.aborted) process.exit(130);
      screen.say('stopping in order; press Ctrl-C again to stop at once');
      stop.abort(cancelled());
    });
  }
}

/** True while this session has a terminal; from cron or systemd it never has. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** Whoever reads our output may leave early; that is no fault, but it is not success either. */
function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (systemCode(error) !== 'EPIPE' && stream === process.stdout) {
        process.stderr.write(`holdfast: the output could not be written: ${error.message}\n`);
      }
      process.exit(1);
    });
  }
}
