/** The files of a container, read by programs in it. */
import { HoldfastError } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { FileReader, HostFiles, HostProcess } from '../host.ts';
import type { Container } from './container.ts';
import { runInContainer } from './run.ts';
import type { Answer, ShellSession } from './shell-session.ts';
import { parseRecords } from './stat-records.ts';
import { encodeWord } from './words.ts';

/** Files up to this size come with one request and are held in memory. */
const headBytes = 256 * 1024;
const missing = 44;
const wrongKind = 45;
/** The path comes on stdin: arguments pass the API as text, and paths are bytes. */
const catScript = `IFS= read -r line
path=$(printf '%b.' "\${line#=}"); path=\${path%.}
if [ -L "$path" ] || [ ! -f "$path" ]; then exit ${missing}; fi
exec cat -- "$path"`;

export function containerFiles(container: Container, session: ShellSession): HostFiles {
  const attributes = async (path: string): Promise<NodeAttributes> => {
    const answer = await session.request('attributes', [path]);
    const [found] = parseRecords(answer.output, answer.token);
    if (answer.status !== 0 || !found) throw readFailure(path, answer);
    return found;
  };
  return {
    attributes,
    list: async (path, unreadable) => {
      const answer = await session.request('list', [path]);
      if (answer.status === missing || answer.status === wrongKind) throw readFailure(path, answer);
      const found = parseRecords(answer.output, answer.token);
      // entries that vanished meanwhile are no matter
      const complaints = answer.said.split('\n').filter((line) => line !== '' && !line.includes('No such file'));
      if (answer.status !== 0 && complaints.length > 0) {
        if (found.length === 0) throw readFailure(path, answer);
        unreadable(path, readFailure(path, { ...answer, said: complaints.join('; ') }));
      }
      return found;
    },
    open: async (path) => {
      const answer = await session.request('head', [path, String(headBytes)]);
      if (answer.status !== 0) throw readFailure(path, answer);
      const head = answer.output.subarray(0, answer.output.indexOf(answer.token));
      const [after] = parseRecords(answer.output.subarray(head.length), answer.token);
      if (head.length < headBytes) return wholeReader(head, after);
      return streamReader(container, path, async () => await attributes(path));
    },
  };
}

/** What was read with one request, and the attributes as they were after that. */
function wholeReader(content: Buffer, attributes: NodeAttributes): FileReader {
  let position = 0;
  return {
    read: async (into) => {
      const count = content.copy(into, 0, position);
      position += count;
      return count;
    },
    attributes: async () => attributes,
    close: async () => {},
  };
}

/** A file of any size, from a program of its own. */
async function streamReader(
  container: Container,
  path: string,
  attributes: () => Promise<NodeAttributes>,
): Promise<FileReader> {
  const program = await runInContainer(container, { argv: ['sh', '-c', catScript] });
  await program.write(`${encodeWord(path)}\n`);
  await program.endInput();
  const chunks = program.stdout[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  let atEnd = false;
  return {
    async read(into) {
      let length = 0;
      while (length < into.byteLength && !atEnd) {
        if (rest.byteLength === 0) {
          const next = await chunks.next();
          if (next.done) {
            atEnd = true;
            await mustHaveSucceeded(path, program);
            break;
          }
          rest = next.value;
        }
        const part = rest.subarray(0, into.byteLength - length);
        into.set(part, length);
        length += part.byteLength;
        rest = rest.subarray(part.byteLength);
      }
      return length;
    },
    attributes,
    async close() {
      if (!atEnd) program.kill();
      await program.exit;
    },
  };
}

async function mustHaveSucceeded(path: string, program: HostProcess): Promise<void> {
  const { status, stderr } = await program.exit;
  if (status !== 0) throw readFailure(path, { status: status ?? 1, said: stderr.trim() });
}

/** The status says what the session's script means by it. */
export function readFailure(path: string, { status, said }: Pick<Answer, 'status' | 'said'>): HoldfastError {
  const shown = printableName(path);
  if (status === missing || (status === wrongKind && said === '')) {
    return new HoldfastError({
      code: status === missing ? 'source.missing' : 'source.unreadable',
      message:
        status === missing ? `${shown} does not exist in the container` : `${shown} is not what it was taken for`,
      remedy: 'Check the path as it is in the container; if it is a volume, that it is mounted.',
    });
  }
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${shown} cannot be read in the container: ${said || `status ${status}`}`,
    remedy: 'Set "user: root" for the container, or exclude it.',
  });
}
