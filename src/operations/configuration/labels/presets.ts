/** What an image's own environment says of the server in it: who may read everything, and where its password stands. */

export interface Inside {
  readonly image: string;
  readonly environment: ReadonlyMap<string, string>;
  /** Paths in the container that are mounted from outside. */
  readonly mounts: readonly string[];
  /** A reference to a variable of this container. */
  readonly secret: (variable: string) => unknown;
}

type Settings = Record<string, unknown>;

/** The driver for an image, by its name: `docker.io/library/postgres:17` → `postgres`. */
export function driverOfImage(image: string): string | undefined {
  const name = image.split('@')[0].split('/').at(-1)!.split(':')[0].toLowerCase();
  const known: readonly (readonly [RegExp, string])[] = [
    [/^(?:postgres|postgresql|postgis|timescaledb|pgvector)/, 'postgres'],
    [/^mariadb/, 'mariadb'],
    [/^(?:mysql|percona)/, 'mysql'],
    [/^mongo(?:db)?(?:$|-)/, 'mongodb'],
    [/^(?:redis|valkey)/, 'redis'],
  ];
  return known.find(([pattern]) => pattern.test(name))?.[1];
}

/** Settings that the labels need not say; what they do say comes before. */
export function presetFor(driver: string, inside: Inside): Settings {
  switch (driver) {
    case 'postgres':
      return postgres(inside);
    case 'mysql':
    case 'mariadb':
      return mysql(driver, inside);
    case 'mongodb':
      return mongodb(inside);
    case 'redis':
      return redis(inside);
    case 'files':
      return inside.mounts.length > 0 ? { paths: [...inside.mounts] } : {};
    default:
      return {};
  }
}

function postgres({ environment, secret }: Inside): Settings {
  const user = environment.get('POSTGRES_USER') || 'postgres';
  const database = environment.get('POSTGRES_DB') || user;
  const password = environment.get('POSTGRES_PASSWORD') ? { password: secret('POSTGRES_PASSWORD') } : {};
  return { url: `postgres://${encodeURIComponent(user)}@127.0.0.1:5432/${encodeURIComponent(database)}`, ...password };
}

/** The administrator if there is a password for it; else the user the image makes, for its one database. */
function mysql(driver: string, { environment, secret }: Inside): Settings {
  const given = (name: string): string | undefined =>
    [`MARIADB_${name}`, `MYSQL_${name}`].find((variable) => environment.get(variable));
  const root = given('ROOT_PASSWORD');
  if (root !== undefined) {
    return { url: `${driver}://root@127.0.0.1:3306`, password: secret(root), databases: 'all' };
  }
  const [user, password, database] = ['USER', 'PASSWORD', 'DATABASE'].map(given);
  if (user === undefined || password === undefined) return {};
  const name = database === undefined ? '' : `/${encodeURIComponent(environment.get(database)!)}`;
  const url = `${driver}://${encodeURIComponent(environment.get(user)!)}@127.0.0.1:3306${name}`;
  return { url, password: secret(password) };
}

function mongodb({ environment, secret }: Inside): Settings {
  const user = environment.get('MONGO_INITDB_ROOT_USERNAME');
  if (!user) return { url: 'mongodb://127.0.0.1:27017' };
  const password = environment.get('MONGO_INITDB_ROOT_PASSWORD')
    ? { password: secret('MONGO_INITDB_ROOT_PASSWORD') }
    : {};
  return { url: `mongodb://${encodeURIComponent(user)}@127.0.0.1:27017`, ...password };
}

function redis({ environment, secret }: Inside): Settings {
  const password = environment.get('REDIS_PASSWORD') ? { password: secret('REDIS_PASSWORD') } : {};
  return { url: 'redis://127.0.0.1:6379', ...password };
}
