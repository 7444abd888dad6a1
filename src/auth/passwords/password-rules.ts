/** Which passwords are taken: long ones (NIST SP 800-63B: length and a list of known ones, no rules about characters). */
import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';

export const shortestPassword = 10;
const longestPassword = 512;

/** The commonest that are long enough, and what people make of the name of this program; compared without digits at the end. */
const common = new Set(
  `1234567890 12345678910 123456789a 0123456789 0987654321 9876543210 1q2w3e4r5t 1qaz2wsx3edc qwertyuiop qwerty
   qwertyuiop asdfghjkl asdfghjklzxcvbnm zxcvbnm password passwort passw0rd p@ssw0rd p@ssword mypassword thepassword
   administrator admin adminadmin superadmin rootroot root toor changeme changeit letmein letmeinnow iloveyou ilovegod
   welcome welcomeback sunshine princess football baseball basketball superman batman starwars michaeljordan
   trustno dragon monkey liverpool manchester computer internet samsung hallohallo qwerasdf qwerqwer asdfasdf
   abcdefghij abcdefghijk abcd1234 a1b2c3d4e5 q1w2e3r4t5 1234qwerasdf correcthorsebatterystaple
   holdfast holdfastholdfast backup backups mybackup backupbackup restic resticrestic secret topsecret supersecret
   default defaultpassword temppassword testtest testpassword test guest unknown whatever`.split(/\s+/),
);

/** `request.invalid`, with what is asked for, unless the password is good enough for this account. */
export function requireGoodPassword(
  password: Secret,
  account: { readonly name: string; readonly email?: string | null },
): void {
  const text = password.reveal();
  const reason = weakness(text, account);
  if (reason === undefined) return;
  throw new HoldfastError({
    code: 'request.invalid',
    message: `the password ${reason}`,
    remedy: `Take one of ${shortestPassword} characters or more that nobody thinks of: four random words will do.`,
  });
}

function weakness(text: string, { name, email }: { name: string; email?: string | null }): string | undefined {
  const length = [...text].length;
  if (length < shortestPassword) return `has ${length} characters, fewer than ${shortestPassword}`;
  if (length > longestPassword) return `has more than ${longestPassword} characters`;
  const plain = text.toLowerCase();
  const stem = plain.replace(/[\d!?.,_\-#*$]+$/, '');
  if (common.has(plain) || common.has(stem)) return 'is one of the first that are tried';
  if (new Set(plain).size < 4) return 'repeats the same few characters';
  const own = [name, email, email?.split('@')[0]].filter((one) => one !== undefined && one !== null && one.length > 2);
  if (own.some((one) => one?.toLowerCase() === stem || one?.toLowerCase() === plain))
    return 'is the name of the account';
  return undefined;
}
