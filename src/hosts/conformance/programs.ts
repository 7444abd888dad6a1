/** Promises about programs. The host needs a POSIX shell, `cat`, `printf`, `sleep`, `head` and `kill`. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Host } from '../host.ts';
import { expect, expectEqual, expectError, type HostCase, output } from './case.ts';

const bigBytes = 24 << 20;

export const programCases: readonly HostCase[] = [
  {
    id: 'exit-status',
    why: 'the exit status, what was printed and what was complained about all arrive',
    async run({ host }) {
      const found = await output(host, { argv: ['sh', '-c', 'echo out; echo err >&2; exit 7'] });
      expectEqual(found.status, 7, 'the exit status');
      expectEqual(found.stdout, 'out\n', 'stdout');
      expectEqual(found.stderr, 'err\n', 'stderr');
    },
  },
  {
    id: 'late-reader',
    why: 'what a program printed is there also for who looks long after it ended',
    async run({ host }) {
      const [early, late] = [await host.run({ argv: ['true'] }), await host.run({ argv: ['printf', 'printed'] })];
      await early.exit;
      for (let turn = 0; turn < 20; turn++) await output(host, { argv: ['true'] });
      const chunks: Uint8Array[] = [];
      for await (const chunk of late.stdout) chunks.push(chunk);
      expectEqual(Buffer.concat(chunks).toString(), 'printed', 'what arrived');
    },
  },
  {
    id: 'killed-by-signal',
    why: 'a program that a signal ended has no exit status, but the name of the signal',
    async run({ host }) {
      const program = await host.run({ argv: ['sh', '-c', 'kill -KILL $$'] });
      for await (const _ of program.stdout) expect(false, 'there is output');
      const { status, signal } = await program.exit;
      expectEqual(status, null, 'the exit status');
      expectEqual(signal, 'SIGKILL', 'the signal');
    },
  },
  {
    id: 'argv-verbatim',
    why: 'arguments arrive as they are given: no shell looks at them',
    async run({ host }) {
      const args = ['$(echo no)', '`no`', "it's", '"', '* ? [a]', '', 'a\nb', '-n', '\\', 'ü', ';echo no', '&'];
      const { stdout } = await output(host, { argv: ['printf', '%s|', ...args] });
      expectEqual(stdout, args.map((arg) => `${arg}|`).join(''), 'what printf received');
    },
  },
  {
    id: 'environment',
    why: 'variables are handed over, unchanged',
    async run({ host }) {
      const { stdout } = await output(host, {
        argv: ['sh', '-c', 'printf %s "$HOLDFAST_CASE"'],
        env: { HOLDFAST_CASE: 'a b$c\n"d\'' },
      });
      expectEqual(stdout, 'a b$c\n"d\'', 'the variable');
    },
  },
  {
    id: 'directory',
    why: 'a program starts in the directory it is told',
    async run({ host, directory }) {
      const { stdout } = await output(host, { argv: ['sh', '-c', 'pwd -P'], cwd: directory });
      expect(stdout.trimEnd().endsWith(directory.slice(directory.lastIndexOf('/'))), `it runs in ${stdout}`);
    },
  },
  {
    id: 'missing-program',
    why: 'a program that is not installed has an error code of its own',
    run: ({ host }) =>
      expectError(() => output(host, { argv: ['holdfast-no-such-program'] }), 'host.command-missing', 'starting it'),
  },
  {
    id: 'large-streams',
    why: 'input and output of any size pass unchanged, both at once',
    async run({ host }) {
      const program = await host.run({ argv: ['cat'] });
      const sent = createHash('sha256');
      const feed = async (): Promise<void> => {
        for (let at = 0; at < bigBytes; at += 1 << 18) {
          const part = Buffer.alloc(1 << 18, (at >> 18) % 251);
          sent.update(part);
          await program.write(part);
        }
        await program.endInput();
      };
      const received = createHash('sha256');
      const drain = async (): Promise<void> => {
        for await (const chunk of program.stdout) received.update(chunk);
      };
      await Promise.all([feed(), drain()]);
      expectEqual((await program.exit).status, 0, 'the exit status of cat');
      expectEqual(received.digest('hex'), sent.digest('hex'), 'the digest of what came back');
    },
  },
  {
    id: 'stderr-tail',
    why: 'of a long stderr the end is kept, and it blocks nothing',
    async run({ host }) {
      const { stderr, status } = await output(host, {
        argv: ['sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x >&2; printf "the end" >&2; exit 1'],
      });
      expectEqual(status, 1, 'the exit status');
      expectEqual(stderr.length, 65_536, 'the length of what is kept');
      expect(stderr.endsWith('xthe end'), 'the last words are missing');
    },
  },
  {
    id: 'input-unwanted',
    why: 'writing to a program that has ended is an error, not a wait for ever',
    async run({ host }) {
      const program = await host.run({ argv: ['sh', '-c', 'exec <&-; exit 3'] });
      for await (const _ of program.stdout) expect(false, 'there is output');
      expectEqual((await program.exit).status, 3, 'the exit status');
      await expectError(() => program.write(Buffer.alloc(1 << 20)), 'host.command-failed', 'writing to it');
      await program.endInput();
    },
  },
  {
    id: 'cancel-kills-tree',
    why: 'cancelling ends a program with everything it started, also what left its process group',
    async run({ host }) {
      const stop = new AbortController();
      const script = 'sleep 1000 & echo $!; setsid sleep 1000 & echo $!; trap "" TERM; wait; sleep 1000';
      const program = await host.run({ argv: ['sh', '-c', script], signal: stop.signal });
      const ids: string[] = [];
      const read = async (): Promise<void> => {
        for await (const chunk of program.stdout) {
          ids.push(...Buffer.from(chunk).toString().trim().split('\n'));
          if (ids.length === 2) stop.abort();
        }
      };
      await expectError(read, 'cancelled', 'reading on after cancelling');
      const { status } = await program.exit;
      expectEqual(status, null, 'the exit status');
      for (const id of ids) await gone(host, id);
    },
  },
  {
    id: 'kill',
    why: 'a program can be killed without a signal, and twice',
    async run({ host }) {
      const program = await host.run({ argv: ['sleep', '1000'] });
      program.kill();
      program.kill();
      expectEqual((await program.exit).status, null, 'the exit status');
    },
  },
  {
    id: 'reader-leaves',
    why: 'whoever needs only the start of the output can leave, and the program ends',
    async run({ host }) {
      const program = await host.run({ argv: ['cat', '/dev/zero'] });
      for await (const chunk of program.stdout) {
        expect(chunk.length > 0, 'an empty chunk');
        break;
      }
      expect((await program.exit).status !== 0, 'it claims success');
    },
  },
];

/** A process that was killed may need a moment to be cleared away: `kill -0` fails, or it is a zombie. */
async function gone(host: Host, id: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const state = await output(host, { argv: ['sh', '-c', 'sed "s/.*) //" "/proc/$1/stat" 2>/dev/null', 'sh', id] });
    if (state.status !== 0 || state.stdout === '' || state.stdout.startsWith('Z')) return;
    await setImmediate();
  }
  expect(false, `process ${id} still runs`);
}
