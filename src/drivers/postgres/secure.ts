/** TLS as the server offers it inside its own protocol: an SSLRequest, one byte of answer, the handshake. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { whileOpening } from '../opening.ts';
import { addressOf, type Place, type Source } from './place.ts';

/** PostgreSQL documentation 55.7, SSLRequest: length 8, code 80877103. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** A stream to the server, encrypted as the settings ask. `host.unreachable`, `source.unreadable`. */
export async function openStream(source: Source, place: Place): Promise<Duplex> {
  const { mode } = source.settings.tls;
  const plain = await source.host.connect(addressOf(place), source.signal);
  if (mode === 'disable' || place.socketDirectory !== undefined) return plain;
  try {
    return await whileOpening(source, { stream: plain, title: place.title }, () => agree(source, place, plain));
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw refused(
      place,
      messageOf(error),
      'Check tls of the source: the certificates, and the name the server is reached by.',
      error,
    );
  }
}

async function agree(source: Source, place: Place, plain: Duplex): Promise<Duplex> {
  const answer = await ask(plain);
  if (answer === 'S') return await encrypted(source, place, plain);
  if (source.settings.tls.mode === 'prefer' && answer === 'N') return plain;
  throw refused(
    place,
    'it offers no encryption',
    'Switch TLS on at the server (ssl = on), or set tls.mode of the source to prefer.',
  );
}

async function ask(stream: Duplex): Promise<string> {
  stream.write(sslRequest);
  return await new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the connection was closed'));
    const readable = (): void => {
      // One byte: what follows belongs to the handshake.
      const byte: Buffer | null = stream.read(1);
      if (byte === null) return;
      stream.off('readable', readable).off('end', ended).off('close', ended).off('error', reject);
      resolve(byte.toString('latin1'));
    };
    stream.on('readable', readable).on('end', ended).on('close', ended).on('error', reject);
  });
}

async function encrypted(source: Source, place: Place, socket: Duplex): Promise<Duplex> {
  const { mode, ca, certificate, key } = source.settings.tls;
  const options: ConnectionOptions = {
    socket,
    ca: ca === undefined ? undefined : await readFile(ca),
    cert: certificate === undefined ? undefined : await readFile(certificate),
    key: key === undefined ? undefined : await readFile(key),
    rejectUnauthorized: mode.startsWith('verify'),
    host: place.host,
    ...(isIP(place.host) === 0 && { servername: place.host }),
    ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  };
  return await new Promise<TLSSocket>((resolve, reject) => {
    const secure = connect(options, () => {
      secure.off('error', reject);
      resolve(secure);
    });
    secure.once('error', reject);
  });
}

function refused(place: Place, why: string, remedy: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `no encrypted connection to ${place.title}: ${why}`,
    remedy,
    cause,
  });
}
