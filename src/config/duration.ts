/** Milliseconds of a time like `30s`, `5m`, `1h` or `1h30m`; `undefined` if it is none. */
export function parseDuration(text: string): number | undefined {
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text.trim());
  if (!match || match[0] === '') return undefined;
  const [days, hours, minutes, seconds] = [1, 2, 3, 4].map((group) => Number(match.at(group) ?? 0));
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
}
