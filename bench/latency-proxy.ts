/**
 * Passes bytes on to a port of this machine, each half of a round trip later; run as a process of its own, which says its port.
 *
 *   node bench/latency-proxy.ts PORT ROUND-TRIP-MS [CERTIFICATE KEY]
 *
 * With a certificate it speaks TLS to whoever comes, and plain TCP on.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';

const [port, roundTripMs, certificate, key] = process.argv.slice(2);
/** What may be on its way in one direction: above it the sender waits. */
const mostBytes = 32 << 20;

function pass(from: Socket, to: Socket): void {
  let onTheWay = 0;
  const later = (act: () => void): void => void setTimeout(act, Number(roundTripMs) / 2);
  from.on('data', (chunk: Buffer) => {
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
  pass(near, far);
  pass(far, near);
}

const server =
  certificate === undefined
    ? createServer(serve)
    : createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(typeof address === 'object' && address !== null ? address.port : 0);
});
