/** The config file (restic design.rst, "Repository Format"): what makes a folder a repository. Never compressed. */
import { isIrreducible } from '../cutting/chunker.ts';
import { goJson } from './go-json.ts';
import { JsonReader } from './json-reader.ts';
import { malformed, unsupported } from './malformed.ts';

export interface RepositoryConfig {
  /** 1 or 2. */
  readonly version: number;
  /** 64 hex digits. */
  readonly id: string;
  readonly chunkerPolynomial: bigint;
}

const what = 'the config file';

export function encodeConfig({ version, id, chunkerPolynomial }: RepositoryConfig): Uint8Array {
  return Buffer.from(goJson({ version, id, chunker_polynomial: chunkerPolynomial.toString(16) }));
}

/** `repository.unsupported` for a version other than 1 and 2, `repository.damaged` for anything malformed. */
export function decodeConfig(bytes: Uint8Array): RepositoryConfig {
  const config = { version: 0, id: '', chunkerPolynomial: 0n };
  const reader = new JsonReader(bytes, what);
  reader.object((name) => {
    if (name === 'version') config.version = reader.count();
    else if (name === 'id') config.id = reader.id();
    else if (name === 'chunker_polynomial') config.chunkerPolynomial = polynomialOf(reader.text());
    else reader.other();
  });
  reader.end();
  const { version } = config;
  if (version !== 1 && version !== 2) {
    throw unsupported(`the repository has format version ${version}; versions 1 and 2 are known`);
  }
  if (config.id === '') throw malformed(what, 'it has no id');
  // restic refuses it too: other polynomials cut badly, some never.
  if (!isIrreducible(config.chunkerPolynomial)) throw malformed(what, 'its chunker polynomial is not irreducible');
  return config;
}

function polynomialOf(hex: string): bigint {
  if (!/^[0-9a-f]{1,16}$/.test(hex)) throw malformed(what, 'its chunker polynomial is not a hexadecimal number');
  return BigInt(`0x${hex}`);
}
