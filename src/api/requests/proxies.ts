/** Who is asking, behind proxies that are trusted: their word counts from the nearest outwards, up to the first stranger. */
import { BlockList, isIP } from 'node:net';

export interface Forwarded {
  readonly address: string;
  readonly secure: boolean;
  readonly host: string;
}

interface Direct {
  readonly peer: string;
  readonly secure: boolean;
  readonly headers: Headers;
}

export type ReadForwarded = (direct: Direct) => Forwarded;

/** `trusted`: addresses and networks (`10.0.0.0/8`). A header that says nothing sensible is not believed. */
export function forwardedBy(trusted: readonly string[]): ReadForwarded {
  const list = new BlockList();
  for (const one of trusted) add(list, one);
  return ({ peer, secure, headers }) => {
    const nearest = plainAddress(peer);
    const host = headers.get('host') ?? '';
    if (!isListed(list, nearest)) return { address: nearest, secure, host };
    const written = (headers.get('x-forwarded-for') ?? '')
      .split(',')
      .map((one) => plainAddress(withoutPort(one.trim())));
    // What is no address vouches for nothing: whatever stands before it, anybody may have written.
    const chain = written.slice(written.findLastIndex((one) => isIP(one) === 0) + 1);
    const address = chain.findLast((one) => !isListed(list, one)) ?? chain[0] ?? nearest;
    const scheme = headers.get('x-forwarded-proto')?.split(',').at(-1)?.trim();
    const given = headers.get('x-forwarded-host')?.split(',').at(-1)?.trim();
    return { address, secure: scheme === undefined ? secure : scheme === 'https', host: given || host };
  };
}

/** The same by settings that may change: then the list is another one. */
export function forwardedAsSet(settings: { readonly trustedProxies: readonly string[] }): ReadForwarded {
  let trusted = settings.trustedProxies;
  let read = forwardedBy(trusted);
  return (direct) => {
    if (settings.trustedProxies !== trusted) {
      trusted = settings.trustedProxies;
      read = forwardedBy(trusted);
    }
    return read(direct);
  };
}

function add(list: BlockList, entry: string): void {
  const [address, prefix] = entry.split('/');
  const kind = isIP(address);
  if (kind === 0) return;
  const family = kind === 4 ? 'ipv4' : 'ipv6';
  if (prefix === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(prefix), family);
}

function isListed(list: BlockList, address: string): boolean {
  const kind = isIP(address);
  return kind !== 0 && list.check(address, kind === 4 ? 'ipv4' : 'ipv6');
}

/** Some proxies write the port, too: `1.2.3.4:5678`, `[2001:db8::1]:5678`. */
function withoutPort(entry: string): string {
  const match = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d{1,5})?$/.exec(entry);
  return match?.[1] ?? match?.[2] ?? entry;
}

/** IPv4 as IPv6 has it (`::ffff:1.2.3.4`) is IPv4. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}
