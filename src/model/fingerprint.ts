/**
 * What a drill compares. A fingerprint is a list of exact facts taken inside the backup's own consistent state; the same
 * facts are taken from the restored copy, and every one must be equal. Stored as `.holdfast/fingerprint.json`.
 */
export interface Fact {
  /** The thing, in the source's own words: `table main.orders`, `schema`, `database`. */
  readonly subject: string;
  /** What was measured: `rows`, `checksum`, `definition`, `integrity`, … */
  readonly measure: string;
  /** Exact, as text: a count in decimal, a digest in hex. */
  readonly value: string;
}

export interface Fingerprint {
  readonly format: 1;
  readonly driver: string;
  /** Version of the algorithm that took the facts; facts of different algorithms are not compared. */
  readonly algorithm: string;
  readonly takenAtMs: number;
  readonly facts: readonly Fact[];
}

/** One comparison of a drill. */
export interface Check {
  readonly subject: string;
  readonly measure: string;
  readonly expected: string;
  readonly found: string;
  readonly ok: boolean;
}

/** Compares fact by fact; a fact missing on either side is a failed check, not a skipped one. */
export function compareFacts(expected: readonly Fact[], found: readonly Fact[]): Check[] {
  const key = (fact: Fact): string => JSON.stringify([fact.subject, fact.measure]);
  const restored = new Map(found.map((fact) => [key(fact), fact.value]));
  const checks = expected.map((fact): Check => {
    const value = restored.get(key(fact));
    restored.delete(key(fact));
    return {
      subject: fact.subject,
      measure: fact.measure,
      expected: fact.value,
      found: value ?? 'missing',
      ok: value === fact.value,
    };
  });
  for (const fact of found) {
    if (restored.has(key(fact))) {
      checks.push({ subject: fact.subject, measure: fact.measure, expected: 'absent', found: fact.value, ok: false });
    }
  }
  return checks;
}

/** Reads a stored fingerprint; `undefined` if the text is not one. */
export function parseFingerprint(text: string): Fingerprint | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isFingerprint(parsed) ? parsed : undefined;
}

function isFingerprint(value: unknown): value is Fingerprint {
  if (typeof value !== 'object' || value === null) return false;
  const { format, driver, algorithm, takenAtMs, facts } = value as Partial<Record<keyof Fingerprint, unknown>>;
  if (format !== 1 || typeof driver !== 'string' || typeof algorithm !== 'string') return false;
  return typeof takenAtMs === 'number' && Array.isArray(facts) && facts.every(isFact);
}

function isFact(value: unknown): value is Fact {
  if (typeof value !== 'object' || value === null) return false;
  const { subject, measure, value: text } = value as Partial<Record<keyof Fact, unknown>>;
  return typeof subject === 'string' && typeof measure === 'string' && typeof text === 'string';
}
