/** Where a secret is. Configurations hold references; the secret itself is read when it is needed, see `config/secret-reference.ts`. */
import { z } from 'zod';
import { Secret } from './secrets.ts';

export type SecretReference =
  | { readonly from: 'file'; readonly path: string }
  | { readonly from: 'env'; readonly name: string }
  | { readonly from: 'command'; readonly argv: readonly string[] }
  /** Kept by the server, sealed. Without `open` nobody here can read it. */
  | { readonly from: 'stored'; readonly name: string; readonly open?: () => Promise<Secret> }
  /** A variable in the environment of a container. */
  | {
      readonly from: 'container';
      readonly container: string;
      readonly variable: string;
      readonly open?: () => Promise<Secret>;
    }
  | { readonly from: 'clear'; readonly secret: Secret };

/** Reads one; `owner` is how errors name what it is for. `secret.unavailable`. */
export type ReadSecret = (reference: SecretReference, owner: string) => Promise<Secret>;

const settings = new WeakSet<z.ZodType>();
const texts = new WeakSet<z.ZodType>();

/**
 * A secret among the settings of a driver, host or storage: `password: secretSetting('the password of the user').optional()`.
 * The configuration replaces what is written there by a reference (with a warning if it is in the clear) before this schema sees it.
 */
export function secretSetting(description: string): z.ZodType<SecretReference> {
  const schema = z.custom<SecretReference>(isReference, { error: 'is not a secret' }).describe(description);
  settings.add(schema);
  return schema;
}

/**
 * Something that is no secret but travels with one, as an access key's id does: written as it is, or as a reference like
 * the secret beside it.
 */
export function textOrReferenceSetting(description: string): z.ZodType<string | SecretReference> {
  const schema = z.custom<string | SecretReference>(
    (value) => (typeof value === 'string' && value !== '') || isReference(value),
    {
      error: 'is neither a text nor the place of one',
    },
  );
  const described = schema.describe(description);
  texts.add(described);
  return described;
}

/** True for what `textOrReferenceSetting` made, also inside `optional()`. */
export function isTextOrReferenceSetting(schema: z.ZodType): boolean {
  if (texts.has(schema)) return true;
  return schema instanceof z.ZodOptional && isTextOrReferenceSetting(schema.unwrap() as z.ZodType);
}

/** True for what `secretSetting` made, also inside `optional()`. */
export function isSecretSetting(schema: z.ZodType): boolean {
  if (settings.has(schema)) return true;
  return schema instanceof z.ZodOptional && isSecretSetting(schema.unwrap() as z.ZodType);
}

/** True for a map of them: `secrets: z.record(z.string(), secretSetting('…'))`. */
export function isSecretMapSetting(schema: z.ZodType): boolean {
  if (schema instanceof z.ZodRecord) return isSecretSetting(schema.valueType as z.ZodType);
  return schema instanceof z.ZodOptional && isSecretMapSetting(schema.unwrap() as z.ZodType);
}

function isReference(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('from' in value)) return false;
  return (
    ['file', 'env', 'command', 'stored', 'container'].includes(String(value.from)) ||
    ('secret' in value && value.secret instanceof Secret)
  );
}
