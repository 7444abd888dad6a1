/** `holdfast.yaml`: what is declared, checked. */

export { compareConfigs, type Difference, type FieldChange, type Section } from './compare.ts';
export {
  type CheckPlan,
  type Config,
  type DayHours,
  type DrillPlan,
  type HostEntry,
  localHost,
  type Placement,
  type PolicyEntry,
  type PrunePlan,
  type RepositoryEntry,
  type RetryPlan,
  type SourceEntry,
} from './config.ts';
export { type Declared, declaredText, keyOf, mergedText, type Origin } from './declared.ts';
export { parseDuration } from './duration.ts';
export { emptyConfig } from './empty.ts';
export { entryValue } from './entry-value.ts';
export { expandPath } from './expand-path.ts';
export { configJsonSchema } from './json-schema.ts';
export { loadConfig, type ParseOptions, parseConfig, readConfigFile, sectionNames } from './load.ts';
export type {
  CatalogueSetting,
  ChannelEntry,
  ListenAddress,
  OidcSettings,
  RestoreEntry,
  RunLimits,
  ServerConfig,
  UserEntry,
  WorkspaceEntry,
} from './platform-config.ts';
export { ConfigError, formatPath, formatProblem, type Problem } from './problems.ts';
export type { Known, KnownChannel, SecretOpeners } from './reading.ts';
export { performingHost } from './references.ts';
export { isTimeZone } from './schemas/time-zone.ts';
export { withoutSecretText } from './secrets/clean-text.ts';
export { type SecretPlace, secretPlaces } from './secrets/secret-places.ts';
export { readSecret, type SecretPlaces, type SecretReference } from './secrets/secret-reference.ts';
export { type PartRequest, type SourcePart, sourcePart } from './secrets/source-part.ts';
export { type CleanConfig, configWithoutSecrets, withoutSecrets } from './secrets/without-secrets.ts';
export { nearest, suggestion } from './suggest.ts';
export { replaceValue } from './yaml/replace-value.ts';
