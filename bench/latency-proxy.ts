/**
 * Passes bytes on to a port of this machine, each half of a round trip later; run as a process of its own, which says its port.
 *
 *   node bench/latency-proxy.ts PORT ROUND-TRIP-MS [CERTIFICATE KEY [LOG]]
 *
 * With a certificate it speaks TLS to whoever comes, and plain TCP on. In LOG stands what went through of HTTP: one line for
 * the head of each request and each answer, with the time in ms and the connection's number.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';

const [port, roundTripMs, certificate, key, log] = process.argv.slice(2);
/** What may be on its way in one direction: above it the sender waits. */
const mostBytes = 32 << 20;

let connections = 0;

function note(connection: number, what: string): void {
  if (log !== undefined)
    appendFileSync(log, `${Math.round(performance.timeOrigin + performance.now())} ${connection} ${what}\n`);
}

function noteHead(connection: number, chunk: Buffer): void {
  const head = /^(?:(?:GET|HEAD|PUT|POST|DELETE) \S+|HTTP\/1.1 \d+)/.exec(chunk.toString('latin1', 0, 400))?.[0];
  if (head !== undefined) note(connection, head);
}

function pass(from: Socket, to: Socket, connection: number): void {
  let onTheWay = 0;
  const later = (act: () => void): void => void setTimeout(act, Number(roundTripMs) / 2);
  from.on('data', (chunk: Buffer) => {
    if (log !== undefined) noteHead(connection, chunk);
    onTheWay += chunk.byteLength;
    if (onTheWay > mostBytes) from.pause();
    later(() => {
      to.write(chunk, () => {
        onTheWay -= chunk.byteLength;
        if (onTheWay <= mostBytes) from.resume();
      });
    });
  });
  from.on('end', () => later(() => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => later(() => to.destroy()));
}

function serve(near: Socket): void {
  const far = connect(Number(port), '127.0.0.1');
  for (const socket of [near, far]) socket.setNoDelay(true);
  const connection = ++connections;
  note(connection, 'opened');
  pass(near, far, connection);
  pass(far, near, connection);
}

const server =
  certificate === undefined
    ? createServer(serve)
    : createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(typeof address === 'object' && address !== null ? address.port : 0);
});
