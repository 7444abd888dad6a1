/** A password from whoever runs the program: typed without being shown, or piped in. */
import { HoldfastError } from '../base/errors.ts';
import { Secret } from '../base/secrets.ts';

const mostBytes = 64 << 10;
const [enter, newline, interrupt, end, backspace, rubout] = ['\r', '\n', '\u0003', '\u0004', '\u0008', '\u007f'];

const ofRepository =
  'Type it, pipe it in, or name where it is: --password-file FILE, HOLDFAST_PASSWORD_FILE or HOLDFAST_PASSWORD.';

export interface PasswordStreams {
  readonly input: NodeJS.ReadStream;
  readonly prompts: NodeJS.WritableStream;
  /** What to do if none was given. */
  readonly remedy?: string;
}

/** Asks on `prompts` if `input` is a terminal, else reads all of it and drops the line end. `secret.unavailable`, `cancelled`. */
export async function askPassword(
  question: string,
  { input, prompts, remedy = ofRepository }: PasswordStreams,
): Promise<Secret> {
  const text = input.isTTY ? await typed(question, input, prompts) : await piped(input);
  if (text !== '' && text.trim() === text) return new Secret(text);
  throw new HoldfastError({
    code: 'secret.unavailable',
    message: text === '' ? 'no password was given' : 'the password begins or ends with white space',
    remedy,
  });
}

async function piped(input: NodeJS.ReadStream): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of input as AsyncIterable<Buffer>) {
    parts.push(part);
    length += part.byteLength;
    if (length > mostBytes) break;
  }
  return Buffer.concat(parts)
    .toString('utf8')
    .replace(/[\r\n]+$/, '');
}

async function typed(question: string, input: NodeJS.ReadStream, prompts: NodeJS.WritableStream): Promise<string> {
  prompts.write(question);
  input.setRawMode(true);
  let text = '';
  try {
    for await (const part of input.setEncoding('utf8') as AsyncIterable<string>) {
      for (const key of part) {
        if (key === interrupt)
          throw new HoldfastError({ code: 'cancelled', message: 'cancelled', remedy: 'Run it again.' });
        if (key === enter || key === newline || key === end) return text;
        text = key === backspace || key === rubout ? text.slice(0, -1) : text + key;
      }
    }
    return text;
  } finally {
    input.setRawMode(false);
    prompts.write('\n');
  }
}
