/** Programs found in images that hand a stream on to a socket, and that stream. */
import { Duplex } from 'node:stream';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { Address, HostProcess } from '../host.ts';

export interface Relay {
  readonly tool: string;
  readonly argv: readonly string[];
  /** It prints `+` once it is connected; the others say nothing. */
  readonly confirms: boolean;
}

const python = `import socket, sys, threading, os
kind, a, b = sys.argv[1:4]
try:
    if kind == 'unix':
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.connect(a)
    else:
        s = socket.create_connection((a, int(b)))
except OSError as e:
    sys.exit(str(e))
os.write(1, b'+')
def send():
    while True:
        d = os.read(0, 65536)
        if not d:
            break
        s.sendall(d)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while True:
    d = s.recv(65536)
    if not d:
        break
    while d:
        d = d[os.write(1, d):]
os._exit(0)
`;

// two processes: one that did both would wait with a full pipe for a server that waits for it
const perl = `use strict; use IO::Socket::INET; use IO::Socket::UNIX;
my ($kind, $a, $b) = @ARGV;
my $s = $kind eq 'unix' ? IO::Socket::UNIX->new(Peer => $a) : IO::Socket::INET->new(PeerAddr => $a, PeerPort => $b);
die "$@ $!\\n" unless $s;
sub copy { my ($from, $to) = @_;
  while (sysread $from, my $d, 65536) { while (length $d) { my $n = syswrite $to, $d; exit 1 unless $n; substr($d, 0, $n) = ''; } } }
syswrite STDOUT, '+';
my $child = fork; die "$!\\n" unless defined $child;
if (!$child) { copy(\\*STDIN, $s); $s->shutdown(1); exit 0; }
copy($s, \\*STDOUT);
kill 'KILL', $child; waitpid $child, 0; exit 0;
`;

// a background program's stdin is /dev/null unless it is given another descriptor; /dev/tcp cannot be closed half
const bash = `exec 3<>"/dev/tcp/$1/$2" || exit 1
printf +
exec 4<&0
cat <&4 >&3 &
cat <&3
kill $! 2>/dev/null
exit 0`;

/** Those that can reach `address`, best first: who passes the end of a direction on comes before who does not. */
export function relaysTo(address: Address): readonly Relay[] {
  const [kind, at, port] =
    'socketPath' in address ? ['unix', address.socketPath, ''] : ['tcp', address.host, String(address.port)];
  const target = kind === 'unix' ? `UNIX-CONNECT:${quoteForSocat(at)}` : `TCP:${bracketed(at)}:${port}`;
  const relays: Relay[] = [
    { tool: 'python3', argv: ['python3', '-c', python, kind, at, port], confirms: true },
    { tool: 'perl', argv: ['perl', '-e', perl, kind, at, port], confirms: true },
    { tool: 'socat', argv: ['socat', '-t', '86400', '-', target], confirms: false },
    kind === 'unix'
      ? { tool: 'nc -U', argv: ['nc', '-U', at], confirms: false }
      : { tool: 'nc', argv: ['nc', at, port], confirms: false },
  ];
  if (kind === 'tcp') relays.push({ tool: 'bash', argv: ['bash', '-c', bash, 'bash', at, port], confirms: true });
  return relays;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** In socat's addresses these separate parts. */
function quoteForSocat(path: string): string {
  return path.replace(/[\\:,!"'([{]/g, '\\$&');
}

/** The relay's stdin and stdout as one stream; it fails where the relay fails, and killing the relay is its end. */
export function relayStream(program: HostProcess, chunks: AsyncIterator<Uint8Array>, what: string): Duplex {
  const stream: Duplex = new Duplex({
    allowHalfOpen: true,
    read: () => {
      nextChunk(program, chunks).then(
        (chunk) => stream.push(chunk ?? null),
        (error: unknown) => stream.destroy(lost(what, error)),
      );
    },
    write: (bytes: Uint8Array, _encoding, done) => {
      program.write(bytes).then(
        () => done(),
        (error: unknown) => done(lost(what, error)),
      );
    },
    final: (done) => {
      program.endInput().then(() => done(), done);
    },
    destroy: (error, done) => {
      program.kill();
      program.exit.then(
        () => done(error),
        (failure: unknown) => done(error ?? lost(what, failure)),
      );
    },
  });
  return stream;
}

async function nextChunk(program: HostProcess, chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
  const next = await chunks.next();
  if (!next.done) return next.value;
  const { status, signal, stderr } = await program.exit;
  if (status === 0) return undefined;
  throw new Error(stderr.trim() || `the relay ended with ${signal ?? `status ${status}`}`);
}

function lost(what: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `the connection to ${what} was lost: ${messageOf(cause)}`,
    remedy: 'Check that the server in the container still runs.',
    retry: 'now',
    cause,
  });
}
