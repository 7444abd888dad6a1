/** A database with everything that is easily lost, and writers that keep its invariants at every commit. */
import type mysql from 'mysql2/promise';
import type { DatabaseServer } from './mariadb.ts';

export const accounts = 40;
const startBalance = 1000;

/** Hostile names of a database: quotes, dots, slashes, patterns. */
export const strangeDatabase = 'we`ird "db" 50%/x.y_ü';

export async function seedBank(server: DatabaseServer, flavour: 'mariadb' | 'mysql'): Promise<void> {
  await server.run(
    'CREATE DATABASE bank CHARACTER SET utf8mb4',
    'USE bank',
    `CREATE TABLE account (id INT AUTO_INCREMENT PRIMARY KEY, balance INT NOT NULL CHECK (balance > -100000))`,
    'CREATE TABLE total (id INT PRIMARY KEY, sum BIGINT NOT NULL)',
    `CREATE TABLE movement (id BIGINT AUTO_INCREMENT PRIMARY KEY, source INT NOT NULL, target INT NOT NULL, amount INT NOT NULL, note VARCHAR(200),
       KEY (source), CONSTRAINT \`a "key"\` FOREIGN KEY (source) REFERENCES account (id), FOREIGN KEY (target) REFERENCES account (id))`,
    `INSERT INTO account (balance) VALUES ${Array.from({ length: accounts }, () => `(${startBalance})`).join(',')}`,
    `INSERT INTO total VALUES (1, ${accounts * startBalance})`,
    `INSERT INTO movement (source, target, amount, note) SELECT a.id, b.id, 0, REPEAT('note ', 20) FROM account a, account b`,
  );
  await server.run(...strangeStatements(flavour));
}

/** Every type and object that dumps are known to lose or to break. */
function strangeStatements(flavour: 'mariadb' | 'mysql'): string[] {
  const quoted = `\`${strangeDatabase.replaceAll('`', '``')}\``;
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, at) => at)).toString('hex');
  return [
    `CREATE DATABASE ${quoted} CHARACTER SET latin1`,
    `USE ${quoted}`,
    "SET sql_mode = '', time_zone = '+02:00'",
    `CREATE TABLE \`we\`\`ird; -- "t" .\` (
       \`a b\` INT NOT NULL, \`c\`\`d\` VARCHAR(100) CHARACTER SET utf8mb4 COMMENT 'a; comment''s\\n-- section {}', e TEXT, f FLOAT, d DOUBLE,
       n DECIMAL(30,10), b LONGBLOB, vb VARBINARY(300), bi BIT(13), dt DATETIME(6), da DATE, ti TIME(3), ts TIMESTAMP NULL, y YEAR,
       en ENUM('x','y;''z') , se SET('p','q'), j JSON, g POINT, u16 VARCHAR(30) CHARACTER SET utf16, big VARCHAR(30) CHARACTER SET cp1251,
       gv INT GENERATED ALWAYS AS (\`a b\` * 2) VIRTUAL, gs VARCHAR(120) GENERATED ALWAYS AS (CONCAT(\`c\`\`d\`, '!')) STORED,
       PRIMARY KEY (\`a b\`, \`c\`\`d\`)) DEFAULT CHARSET=latin1`,
    `INSERT INTO \`we\`\`ird; -- "t" .\` (\`a b\`, \`c\`\`d\`, e, f, d, n, b, vb, bi, dt, da, ti, ts, y, en, se, j, g, u16, big) VALUES
       (1, '😀 it''s; \\n\\r\\0\\Z \\\\ "q" %', 'é latin', 1.2345678, 0.1, 12345678901234567890.0123456789, 0x${everyByte}, 0x${everyByte}, b'1010101010101',
        '0000-00-00', '0000-00-00', '-838:59:59', '2038-01-19 03:14:07', 2026, 'y;''z', 'p,q', '{"a": [1, 2.5, "😀", null]}', ST_GeomFromText('POINT(1.5 -2.25)'), 'дом 😀', 'дом'),
       (0, '', '', -0.0, 1.7976931348623157e308, 0, '', '', 0, '2026-11-21 10:00:00.123456', '9999-12-31', '00:00:00.001', NULL, 0, '', '', '[]', NULL, '', 'abc'),
       (2, 'nulls', NULL, 3.4028235e38, 2.2250738585072014e-308, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
    'CREATE TABLE zero (id INT AUTO_INCREMENT PRIMARY KEY, at DATE NOT NULL DEFAULT "0000-00-00")',
    "SET sql_mode = 'ALLOW_INVALID_DATES'",
    "INSERT INTO zero (at) VALUES ('0000-00-00'), ('2026-02-31'), ('2026-00-10')",
    "SET sql_mode = ''",
    'UPDATE zero SET id = 0 WHERE id = 2',
    'CREATE TABLE nokey (a INT, b VARCHAR(10), KEY (a))',
    "INSERT INTO nokey VALUES (3,'c'),(1,'a'),(2,'b'),(1,'a'),(NULL,NULL)",
    'CREATE TABLE prefixed (t TEXT, PRIMARY KEY (t(10)))',
    "INSERT INTO prefixed VALUES ('zebra'),('ant')",
    'CREATE TABLE parted (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 3',
    'INSERT INTO parted VALUES (5,1),(1,2),(9,3),(4,4)',
    'CREATE TABLE empty_one (id INT PRIMARY KEY)',
    // what a server takes only while it is not strict
    'SET innodb_strict_mode = 0',
    'CREATE TABLE sized (id INT PRIMARY KEY) ROW_FORMAT=DYNAMIC KEY_BLOCK_SIZE=8',
    'SET innodb_strict_mode = 1',
    'CREATE TABLE old_sets (id INT PRIMARY KEY, e VARCHAR(9) CHARACTER SET eucjpms, d VARCHAR(9) CHARACTER SET dec8)',
    "CREATE TABLE byte_default (id INT PRIMARY KEY, b VARBINARY(16) DEFAULT x'ff0a275c00', c BINARY(16) DEFAULT x'fe')",
    "INSERT INTO old_sets VALUES (1, 'あ', 'é')",
    'CREATE TABLE sam (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=MyISAM',
    "INSERT INTO sam VALUES (2,'two'),(1,'one')",
    'CREATE VIEW z_base AS SELECT `a b` AS n FROM `we``ird; -- "t" .`',
    'CREATE VIEW a_top AS SELECT n + 1 AS m FROM z_base UNION SELECT id FROM zero',
    `CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC BEGIN -- a comment; with a delimiter ;;
       RETURN n * 2; /* and $$ another */ END`,
    'CREATE FUNCTION one_more() RETURNS INT DETERMINISTIC RETURN 1 -- its end',
    'CREATE VIEW with_function AS SELECT twice(n) AS t FROM z_base',
    `CREATE PROCEDURE \`p;1\`(IN x INT, OUT y VARCHAR(20) CHARACTER SET utf8mb4)\nBEGIN\n  DECLARE s VARCHAR(50) DEFAULT 'DELIMITER ;;';\n\n  SET y = CONCAT(s, "'");\n  IF x > 1 THEN SELECT 1; END IF;\nEND`,
    `CREATE TRIGGER ${quoted}.first_one BEFORE INSERT ON ${quoted}.zero FOR EACH ROW BEGIN SET NEW.at = COALESCE(NEW.at, '2026-01-01'); END`,
    'CREATE TRIGGER another_one BEFORE INSERT ON zero FOR EACH ROW SET NEW.id = NEW.id + 0',
    'ALTER DATABASE CHARACTER SET utf8mb3 COLLATE utf8mb3_bin',
    'CREATE PROCEDURE made_before(x VARCHAR(9)) SELECT CHARSET(x)',
    'CREATE TRIGGER made_before BEFORE UPDATE ON zero FOR EACH ROW BEGIN DECLARE x VARCHAR(9); END',
    'ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci',
    "CREATE EVENT tick ON SCHEDULE EVERY 1 SECOND STARTS '2026-01-01 00:00:00' DO BEGIN INSERT INTO empty_one VALUES (1); DELETE FROM empty_one; END",
    'ALTER EVENT tick DISABLE',
    "CREATE EVENT later ON SCHEDULE AT '2037-01-01 00:00:00' DO SET @x = 1",
    ...(flavour === 'mariadb'
      ? [
          'CREATE SEQUENCE counter START WITH 5 INCREMENT BY 3 MAXVALUE 1000 CACHE 2 CYCLE',
          'DO NEXTVAL(counter)',
          'CREATE TABLE by_counter (id INT PRIMARY KEY DEFAULT (NEXTVAL(counter)), last INT DEFAULT (LASTVAL(counter) + 0))',
          'CREATE TABLE hidden (id INT PRIMARY KEY, secret INT INVISIBLE DEFAULT 4, u UUID, ip INET6)',
          "INSERT INTO hidden (id, secret, u, ip) VALUES (1, 7, 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6', '::1')",
          'CREATE TABLE aria (id INT PRIMARY KEY) ENGINE=Aria TRANSACTIONAL=1',
          'INSERT INTO aria VALUES (1),(2)',
          'CREATE TABLE let_in (id INT PRIMARY KEY CHECK (id > 0))',
          'SET check_constraint_checks = 0',
          'INSERT INTO let_in VALUES (-1)',
          'SET check_constraint_checks = 1',
          'CREATE ROLE teller',
          'GRANT SELECT ON bank.* TO teller',
        ]
      : [
          'CREATE TABLE hidden (id INT PRIMARY KEY, secret INT INVISIBLE DEFAULT 4)',
          'INSERT INTO hidden (id, secret) VALUES (1, 7)',
          'CREATE TABLE parent (id INT PRIMARY KEY, k INT, KEY (k))',
          'SET restrict_fk_on_non_standard_key = 0',
          'CREATE TABLE child (id INT PRIMARY KEY, k INT, FOREIGN KEY (k) REFERENCES parent (k))',
          'SET restrict_fk_on_non_standard_key = 1',
          'INSERT INTO parent VALUES (1, 7), (2, 7)',
          'INSERT INTO child VALUES (1, 7)',
          "CREATE ROLE 'teller'",
          "GRANT SELECT ON bank.* TO 'teller'",
        ]),
    "CREATE USER 'o''brien'@'10.%' IDENTIFIED BY 'pa;ss'",
    `GRANT SELECT, EXECUTE ON ${quoted}.* TO 'o''brien'@'10.%'`,
    `GRANT SELECT (id) ON ${quoted}.zero TO 'o''brien'@'10.%'`,
    `GRANT EXECUTE ON FUNCTION ${quoted}.twice TO 'o''brien'@'10.%'`,
    "GRANT 'teller' TO 'o''brien'@'10.%'",
    `SET DEFAULT ROLE ${flavour === 'mariadb' ? "'teller' FOR" : "'teller' TO"} 'o''brien'@'10.%'`,
  ];
}

/** Moves money: the sum of balances, the total and the movements agree at every commit. Rejects on dispose if it could not. */
export async function startWriters(
  server: DatabaseServer,
  count = 2,
): Promise<AsyncDisposable & { commits(): number }> {
  let running = true;
  let commits = 0;
  const write = async (seed: number): Promise<void> => {
    const connection = await server.connect('bank');
    try {
      for (let n = seed; running; n += 7) commits += (await transfer(connection, n)) ? 1 : 0;
    } finally {
      connection.destroy();
    }
  };
  const writers = Array.from({ length: count }, (_, at) => write(at + 1));
  const all = Promise.all(writers);
  all.catch(() => {});
  return {
    commits: () => commits,
    async [Symbol.asyncDispose]() {
      running = false;
      await all;
    },
  };
}

async function transfer(connection: mysql.Connection, n: number): Promise<boolean> {
  const [source, target, amount] = [(n % accounts) + 1, ((n * 13 + 5) % accounts) + 1, (n % 17) + 1];
  try {
    await connection.query('START TRANSACTION');
    await connection.query(`UPDATE account SET balance = balance - ${amount} WHERE id = ${source}`);
    await connection.query(`INSERT INTO movement (source, target, amount) VALUES (${source}, ${target}, ${amount})`);
    await connection.query(`UPDATE account SET balance = balance + ${amount} WHERE id = ${target}`);
    // money comes in from outside, and the total says so
    if (n % 3 === 0) {
      await connection.query(`UPDATE account SET balance = balance + 1 WHERE id = ${source}`);
      await connection.query('UPDATE total SET sum = sum + 1');
    }
    await connection.query('COMMIT');
    return true;
  } catch (error) {
    // two writers may meet each other's rows
    if (!(error instanceof Error && 'errno' in error && [1205, 1213].includes(Number(error.errno)))) throw error;
    await connection.query('ROLLBACK');
    return false;
  }
}

/** `0` if the invariants hold: what balances are apart from the total, and from the movements. */
export const invariants = `SELECT
  ABS((SELECT SUM(balance) FROM bank.account) - (SELECT sum FROM bank.total))
  + (SELECT COUNT(*) FROM bank.account a WHERE a.balance - ${startBalance} <
     (SELECT COALESCE(SUM(CASE WHEN m.target = a.id THEN m.amount ELSE 0 END) - SUM(CASE WHEN m.source = a.id THEN m.amount ELSE 0 END), 0)
      FROM bank.movement m WHERE a.id IN (m.source, m.target)))`;

/** A change of one row with what takes it back; `?` stands for what `choose` gives. */
export interface RowChange {
  readonly table: string;
  readonly choose: string;
  readonly change: string;
  readonly back: string;
}

const strange = `\`${strangeDatabase.replaceAll('`', '``')}\``;
const anyMovement = 'SELECT FLOOR(1 + RAND() * 1600)';

/** Another value, a longer text, one bit, a row less, letters that compare alike, NULL for a text. */
export const rowChanges: readonly RowChange[] = [
  {
    table: 'bank.movement',
    choose: anyMovement,
    change: 'UPDATE bank.movement SET amount = amount + 1 WHERE id = ?',
    back: 'UPDATE bank.movement SET amount = amount - 1 WHERE id = ?',
  },
  {
    table: 'bank.movement',
    choose: anyMovement,
    change: "UPDATE bank.movement SET note = CONCAT(note, ' ') WHERE id = ?",
    back: "UPDATE bank.movement SET note = REPEAT('note ', 20) WHERE id = ?",
  },
  {
    table: 'bank.account',
    choose: `SELECT FLOOR(1 + RAND() * ${accounts})`,
    change: 'UPDATE bank.account SET balance = balance + 1 WHERE id = ?',
    back: 'UPDATE bank.account SET balance = balance - 1 WHERE id = ?',
  },
  {
    table: 'bank.total',
    choose: 'SELECT sum FROM bank.total',
    change: 'DELETE FROM bank.total',
    back: 'INSERT INTO bank.total VALUES (1, ?)',
  },
  {
    table: `${strangeDatabase}.sam`,
    choose: 'SELECT FLOOR(1 + RAND() * 2)',
    change: `UPDATE ${strange}.sam SET v = UPPER(v) WHERE id = ?`,
    back: `UPDATE ${strange}.sam SET v = LOWER(v) WHERE id = ?`,
  },
  {
    table: `${strangeDatabase}.nokey`,
    choose: 'SELECT 3',
    change: `UPDATE ${strange}.nokey SET b = NULL WHERE a = ?`,
    back: `UPDATE ${strange}.nokey SET b = 'c' WHERE a = ?`,
  },
];
