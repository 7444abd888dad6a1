/** What a user says must be true of a restored copy, asked while the copy works. */
import { HoldfastError, messageOf, throwIfCancelled } from '../base/errors.ts';
import { inTime } from '../base/in-time.ts';
import type { RestoredCopy, SourceContext, Throwaway } from '../drivers/driver.ts';
import { runToEnd } from '../hosts/run-to-end.ts';
import type { Assertion, CommandAssertion, Expectation, HttpAssertion, QueryAssertion } from '../model/assertion.ts';
import type { Check } from '../model/fingerprint.ts';

/** What of a body is read, in bytes. */
const mostBodyBytes = 1 << 20;
/** Proofs are kept: what they repeat of an answer is short. Characters. */
const mostFound = 300;
const mostSubject = 160;

interface Asking {
  readonly copy: Pick<RestoredCopy, 'query' | 'environment' | 'isApart' | 'clients'>;
  readonly source: Pick<SourceContext<unknown>, 'clock' | 'signal'>;
  readonly throwaway: Throwaway;
}

type Outcome = Pick<Check, 'measure' | 'expected' | 'found' | 'ok'>;

/** One check for each, in their order. What cannot be asked, breaks, or takes too long is a failed check. Rejects with `cancelled` only. */
export async function checkAssertions(assertions: readonly Assertion[], asking: Asking): Promise<Check[]> {
  const checks: Check[] = [];
  for (const assertion of assertions) {
    throwIfCancelled(asking.source.signal);
    const outcome = await ask(assertion, asking).catch((error: unknown) => {
      throwIfCancelled(asking.source.signal);
      return { ...expectedOf(assertion), found: `error: ${messageOf(error)}`, ok: false };
    });
    checks.push({ ...outcome, subject: subjectOf(assertion), found: shorten(outcome.found, mostFound) });
  }
  return checks;
}

function ask(assertion: Assertion, asking: Asking): Promise<Outcome> {
  if ('query' in assertion) return askCopy(assertion, asking);
  return 'command' in assertion ? askProgram(assertion, asking) : askService(assertion, asking);
}

async function askCopy({ query, expect, timeoutMs }: QueryAssertion, { copy, source }: Asking): Promise<Outcome> {
  if (!copy.query) throw cannotAsk('the driver of this source takes no queries; use command: or http:');
  const late = tooLate(timeoutMs);
  const answer = await inTime({ ...source, timeoutMs }, late, async () => await copy.query!(query));
  return judged('answer', answer, expect);
}

async function askProgram(assertion: CommandAssertion, { copy, source, throwaway }: Asking): Promise<Outcome> {
  const { command: argv, status, expect, timeoutMs } = assertion;
  requireReach(argv, copy);
  const program = { argv, env: copy.environment, cwd: throwaway.directory };
  const ended = await runToEnd(throwaway.host, program, { ...source, timeoutMs });
  if (ended.status === status && expect) return judged('output', ended.stdout, expect);
  const found = ended.status === status ? String(status) : ended.words;
  return { measure: 'status', expected: String(status), found, ok: ended.status === status };
}

/** A program that does not find the copy asks what it finds by default: perhaps the source itself, which would prove nothing. */
function requireReach(argv: readonly string[], { isApart = false, clients = [], environment }: Asking['copy']): void {
  if (isApart) {
    throw cannotAsk(
      'the copy runs in a container, which programs of this machine do not reach; ask with sql: or query:, or install the server’s programs on this machine',
    );
  }
  const text = argv.join(' ');
  if (Object.keys(environment).some((name) => text.includes(name))) return;
  const client = clients.find((name) => new RegExp(`(?<![\\w.-])${name}(?![\\w.-])`).test(text));
  if (client === undefined) return;
  const known = Object.keys(environment).join(', ');
  throw cannotAsk(`${client} would ask the default server of this machine: give it the copy’s place (${known})`);
}

async function askService(assertion: HttpAssertion, { copy, source }: Asking): Promise<Outcome> {
  const { http, status, expect, timeoutMs } = assertion;
  const url = loopbackUrl(substitute(http, copy.environment));
  return await inTime({ ...source, timeoutMs }, tooLate(timeoutMs), async (signal) => {
    // A redirect is an answer like any other: following it could lead away from this machine.
    const response = await fetch(url, { signal, redirect: 'manual' }).catch((error: unknown) => {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      throw cannotAsk(`${url.origin} does not answer: ${messageOf(cause)}`);
    });
    const body = await readBody(response);
    if (response.status === status && expect) return judged('body', body, expect);
    const found = String(response.status);
    return { measure: 'status', expected: String(status), found, ok: response.status === status };
  });
}

async function readBody({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    parts.push(part);
    bytes += part.byteLength;
    if (bytes > mostBodyBytes) break;
  }
  return Buffer.concat(parts).subarray(0, mostBodyBytes).toString('utf8');
}

/** `${PGPORT}` is what the copy's environment says; a name it does not have cannot be asked for. */
function substitute(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
    if (Object.hasOwn(environment, name)) return environment[name];
    const known = Object.keys(environment).join(', ') || 'none';
    throw cannotAsk(`the copy has no variable ${name} (it has: ${known})`);
  });
}

/** A drill talks to what runs on this machine; what is elsewhere is not the copy. */
function loopbackUrl(text: string): URL {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) throw cannotAsk(`«${text}» is no URL of http`);
  if (/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)) return url;
  throw cannotAsk(`${url.hostname} is not this machine (localhost, 127.0.0.1, [::1])`);
}

function judged(measure: string, answer: string, expect: Expectation): Outcome {
  const found = answer.replace(/[\r\n]+$/, '');
  return { measure, expected: wordsOf(expect), found, ok: isMet(expect, found) };
}

function isMet(expect: Expectation, found: string): boolean {
  if ('equals' in expect) return found === expect.equals;
  if ('matches' in expect) return new RegExp(expect.matches, 'u').test(found);
  const number = /^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?\s*$/i.test(found) ? Number(found) : Number.NaN;
  return 'atLeast' in expect ? number >= expect.atLeast : number <= expect.atMost;
}

function wordsOf(expect: Expectation): string {
  if ('equals' in expect) return expect.equals;
  if ('matches' in expect) return `matches /${expect.matches}/`;
  return 'atLeast' in expect ? `at least ${expect.atLeast}` : `at most ${expect.atMost}`;
}

function expectedOf(assertion: Assertion): Pick<Check, 'measure' | 'expected'> {
  if ('query' in assertion) return { measure: 'answer', expected: wordsOf(assertion.expect) };
  const { status, expect } = assertion;
  if (expect) return { measure: 'command' in assertion ? 'output' : 'body', expected: wordsOf(expect) };
  return { measure: 'status', expected: String(status) };
}

function subjectOf(assertion: Assertion): string {
  if ('query' in assertion) return `assertion: ${shorten(assertion.query, mostSubject)}`;
  return `assertion: ${shorten('command' in assertion ? assertion.command.join(' ') : assertion.http, mostSubject)}`;
}

function shorten(text: string, most: number): string {
  const line = text.replace(/\s*\n\s*/g, ' | ');
  return line.length > most ? `${line.slice(0, most)}…` : line;
}

function tooLate(timeoutMs: number): HoldfastError {
  return cannotAsk(`no answer within ${timeoutMs / 1000} s`);
}

function cannotAsk(message: string): HoldfastError {
  return new HoldfastError({ code: 'drill.failed', message, remedy: 'Correct the assertion, or look at the copy.' });
}
