/** What a restore writes to in a container, by programs in it; see `RestoreTarget` for the guarantees and the README for the limits. */
import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../../base/errors.ts';
import { decodeName, printableName } from '../../base/names.ts';
import type { NodeAttributes } from '../../model/node.ts';
import type { FileWriter, RestoreTarget } from '../host.ts';
import type { ShellSession } from './shell-session.ts';
import { attributeWords, blocksFor, dataParts, deviceNumbers } from './target-words.ts';

type Existing = 'refuse' | 'replace';
type Problem = (message: string) => void;

/** The largest piece that is written with one request; the far end holds one of them. */
const pieceBytes = 1 << 20;
const notEmpty = 18;
const exists = 17;
const otherKind = 45;

/** `restore.target-invalid` if the directory cannot be made or written. */
export async function openContainerTarget(
  session: ShellSession,
  directory: string,
  existing: Existing,
): Promise<RestoreTarget> {
  const { status, output, said } = await session.request('root', [directory]);
  if (status !== 0) {
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `the directory ${printableName(directory)} in the container cannot be restored to: ${said || 'it cannot be written'}`,
      remedy: 'Name a directory, existing or not, that the user of the container may write to.',
    });
  }
  return new ContainerTarget(session, directory, decodeName(output), existing);
}

/** By the word the session prints. */
const problems: Readonly<Record<string, string>> = {
  owner: 'the owner cannot be restored, and setuid bits are left out',
  seconds: 'times are restored to the second only, for the image has no touch that knows more',
  attributes: 'extended attributes and ACLs are not restored in a container',
};

interface Place {
  /** The directory below the root: empty, or with a slash before it. */
  readonly directory: string;
  readonly name: string;
}

class ContainerTarget implements RestoreTarget {
  readonly #session: ShellSession;
  /** As callers name it, and as it is. */
  readonly #asked: string;
  readonly #root: string;
  readonly #existing: Existing;
  readonly #writers = new Set<FileWriter>();
  readonly #told = new Set<string>();
  readonly #own = randomBytes(6).toString('hex');
  #temporaries = 0;

  constructor(session: ShellSession, asked: string, root: string, existing: Existing) {
    this.#session = session;
    this.#asked = asked === '/' ? '' : asked.replace(/\/+$/, '');
    this.#root = root === '/' ? '' : root;
    this.#existing = existing;
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#do(path, 'mkdir', [this.#root, this.#existing, ...this.#components(path)]);
  }

  async createFile(path: string, size: number): Promise<FileWriter> {
    const { directory, name } = this.#place(path);
    const temporary = this.#temporaryName();
    const words = [this.#root, directory, name, this.#existing, temporary, String(size)];
    const used = await this.#do(path, 'create', words);
    const current = used.toString('latin1') === temporary ? temporary : name;
    return this.#writer(path, { directory, name }, current, true);
  }

  async reviseFile(path: string, size: number): Promise<FileWriter | undefined> {
    const { directory, name } = this.#place(path);
    const { status, said } = await this.#session.request('revise', [this.#root, directory, name, String(size)]);
    if (status === otherKind) return undefined;
    if (status !== 0) throw writeFailure(path, status, said);
    return this.#writer(path, { directory, name }, name, false);
  }

  async writeWhole(path: string, content: Uint8Array, node?: NodeAttributes, problem: Problem = () => {}) {
    if (content.byteLength > pieceBytes) {
      const writer = await this.createFile(path, content.byteLength);
      await writer.writeAt(content, 0);
      await writer.close();
      if (node) await this.applyAttributes(path, node, problem);
      return;
    }
    const { directory, name } = this.#place(path);
    const words = [this.#root, directory, name, this.#existing, this.#temporaryName(), String(content.byteLength)];
    const output = await this.#do(path, 'whole', [...words, ...(node ? attributeWords(node) : [])], content);
    this.#tell(path, output, node, problem);
  }

  async makeLink(path: string, existing: string): Promise<void> {
    const first = this.#place(existing);
    await this.#make(path, ['link', first.directory, first.name]);
  }

  async makeSpecial(path: string, node: NodeAttributes): Promise<void> {
    switch (node.type) {
      case 'symlink':
        return await this.#make(path, ['symlink', node.linkTarget ?? '']);
      case 'fifo':
        return await this.#make(path, ['fifo']);
      case 'dev':
      case 'chardev':
        return await this.#make(path, ['device', node.type === 'dev' ? 'b' : 'c', ...deviceNumbers(node.device ?? 0n)]);
      default:
        throw new HoldfastError({
          code: 'restore.failed',
          message: `${printableName(path)} is a ${node.type}, which cannot be made in a container`,
          remedy: 'Exclude it from the restore; programs make their sockets themselves.',
        });
    }
  }

  async applyAttributes(path: string, node: NodeAttributes, problem: Problem): Promise<void> {
    const { directory, name } = this.#place(path);
    const words = [this.#root, directory, name, node.type, ...attributeWords(node)];
    this.#tell(path, await this.#do(path, 'apply', words), node, problem);
  }

  async finish(): Promise<void> {
    await this.#do(this.#asked, 'sync', []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of [...this.#writers]) await writer.abandon();
  }

  #writer(path: string, { directory, name }: Place, current: string, isNew: boolean): FileWriter {
    let open = true;
    const release = (): void => {
      open = false;
      this.#writers.delete(writer);
    };
    const writer: FileWriter = {
      writeAt: async (bytes, position) => {
        for (const { from, to } of dataParts(bytes, position, isNew)) {
          const { block, blocks } = blocksFor(position + from);
          const words = [this.#root, directory, current, String(to - from), String(block), String(blocks)];
          await this.#do(path, 'write', words, bytes.subarray(from, to));
        }
      },
      close: async () => {
        if (!open) return;
        release();
        if (current !== name) await this.#do(path, 'publish', [this.#root, directory, current, name]);
      },
      abandon: async () => {
        if (!open) return;
        release();
        if (isNew) await this.#do(path, 'remove', [this.#root, directory, current]);
      },
    };
    this.#writers.add(writer);
    return writer;
  }

  async #make(path: string, how: readonly string[]): Promise<void> {
    const { directory, name } = this.#place(path);
    await this.#do(path, 'special', [this.#root, directory, name, this.#existing, this.#temporaryName(), ...how]);
  }

  async #do(path: string, operation: string, words: readonly string[], payload?: Uint8Array): Promise<Buffer> {
    const { status, output, said } = await this.#session.request(operation, words, payload);
    if (status !== 0) throw writeFailure(path, status, said);
    return output;
  }

  #place(path: string): Place {
    const components = this.#components(path);
    const name = components.pop() ?? '';
    return { directory: components.map((component) => `/${component}`).join(''), name };
  }

  #components(path: string): string[] {
    const below = path.slice(this.#asked.length);
    const isInside = path.startsWith(this.#asked) && (below === '' || below.startsWith('/'));
    const components = below === '' || below === '/' ? [] : below.slice(1).split('/');
    if (isInside && components.every((name) => name !== '' && name !== '.' && name !== '..' && !name.includes('\0'))) {
      return components;
    }
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `${printableName(path)} is not a path in ${printableName(this.#asked || '/')}`,
      remedy: 'Nothing is written outside of the target; leave this path out of the restore.',
    });
  }

  /** Each kind of problem once: what the session printed of it, and what it cannot set at all. */
  #tell(path: string, output: Buffer, node: NodeAttributes | undefined, problem: Problem): void {
    const shown = printableName(path);
    for (const line of output.toString('utf8').split('\n').filter(Boolean)) {
      const [kind] = line.split(' ', 1);
      const said = line.slice(kind.length + 1);
      this.#tellOnce(kind, `${shown}: ${(problems[kind] ?? kind) + (said ? `: ${said}` : '')}`, problem);
    }
    if (node?.xattrs?.length) this.#tellOnce('attributes', `${shown}: ${problems.attributes}`, problem);
  }

  #tellOnce(kind: string, message: string, problem: Problem): void {
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    problem(message);
  }

  /** Not the process id: that is another one in each container, and the same after a restart. */
  #temporaryName(): string {
    return `.holdfast-${this.#own}-${this.#temporaries++}`;
  }
}

function writeFailure(path: string, status: number, said: string): HoldfastError {
  const shown = printableName(path);
  if (status === exists || status === notEmpty) {
    return new HoldfastError({
      code: 'restore.target-exists',
      message: `${shown} exists already in the container${status === notEmpty ? ', as a directory that is not empty' : ''}, or a symbolic link is in its way`,
      remedy: 'Restore to an empty directory, or allow that it is replaced.',
    });
  }
  return new HoldfastError({
    code: 'restore.failed',
    message: `${shown} cannot be written in the container: ${said.split('\n')[0] || `status ${status}`}`,
    remedy: /no space/i.test(said)
      ? 'Make room on the target, or restore elsewhere.'
      : 'Check the rights and the file system of the target.',
  });
}
