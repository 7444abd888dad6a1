/** `holdfast.yaml`: what is declared, checked. */
export {
  type Config,
  localHost,
  type Placement,
  type PolicyEntry,
  type RepositoryEntry,
  type SourceEntry,
} from './config.ts';
export { parseDuration } from './duration.ts';
export { expandPath } from './expand-path.ts';
export { loadConfig, parseConfig } from './load.ts';
export { ConfigError, formatProblem, type Problem } from './problems.ts';
export type { Known } from './reading.ts';
export { replaceValue } from './replace-value.ts';
export { type SecretPlace, secretPlaces } from './secret-places.ts';
export { readSecret, type SecretPlaces, type SecretReference } from './secret-reference.ts';
export { nearest, suggestion } from './suggest.ts';
export { type CleanConfig, configWithoutSecrets, withoutSecrets } from './without-secrets.ts';
