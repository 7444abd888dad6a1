/** Where what a source protects is seen. */
import type { Extent } from '../driver.ts';
import type { Settings } from './settings.ts';

const defaultPort = 6379;

export async function extent({ url, socket }: Settings): Promise<Extent> {
  const { hostname, port } = new URL(url);
  const place = { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? defaultPort : Number(port) };
  return { server: { kind: 'Redis', addresses: [socket === undefined ? place : { socketPath: socket }] } };
}
