/** The config file (restic design.rst, "Repository Format"): what makes a folder a repository. Never compressed. */
import { HoldfastError } from '../../base/errors.ts';
import { countOf, idOf, malformed, parseObject, textOf } from './malformed.ts';

export interface RepositoryConfig {
  /** 1 or 2. */
  readonly version: number;
  /** 64 hex digits. */
  readonly id: string;
  readonly chunkerPolynomial: bigint;
}

export function encodeConfig(config: RepositoryConfig): Uint8Array {
  const polynomial = config.chunkerPolynomial.toString(16);
  return Buffer.from(JSON.stringify({ version: config.version, id: config.id, chunker_polynomial: polynomial }));
}

/** `repository.unsupported` for a version other than 1 and 2, `repository.damaged` for anything malformed. */
export function decodeConfig(bytes: Uint8Array): RepositoryConfig {
  const json = parseObject(bytes, 'the config file');
  const version = countOf(json.version, 'the config file’s version');
  if (version !== 1 && version !== 2) {
    throw new HoldfastError({
      code: 'repository.unsupported',
      message: `the repository has format version ${version}; versions 1 and 2 are known`,
      remedy: 'Use a newer Holdfast.',
    });
  }
  const polynomial = textOf(json.chunker_polynomial, 'the chunker polynomial');
  if (!/^[0-9a-f]{1,16}$/.test(polynomial)) throw malformed('the chunker polynomial', 'not a hexadecimal number');
  return { version, id: idOf(json.id, 'the repository’s id'), chunkerPolynomial: BigInt(`0x${polynomial}`) };
}
