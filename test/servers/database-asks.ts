/** What tests ask a database server, and what they do to its connections. */
import { createConnection, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseServer } from './mariadb.ts';

async function list(server: DatabaseServer, sql: string): Promise<string[]> {
  const connection = await server.connect();
  const [rows] = await connection.query({ sql, rowsAsArray: true });
  await connection.end();
  return (rows as unknown[][]).map(([value]) => String(value));
}

export function databases(server: DatabaseServer): Promise<string[]> {
  return list(server, 'SHOW DATABASES');
}

export function tables(server: DatabaseServer, database: string): Promise<string[]> {
  return list(
    server,
    `SELECT table_name FROM information_schema.TABLES WHERE table_schema LIKE '${database.replaceAll("'", "''")}'`,
  );
}

/** Sessions that are not the asking one, once those that end had a moment for it. */
export async function sessions(server: DatabaseServer): Promise<string[]> {
  const sql = "SELECT id FROM information_schema.PROCESSLIST WHERE user = 'root' AND id <> CONNECTION_ID()";
  for (let attempt = 0; ; attempt++) {
    const found = await list(server, sql);
    if (found.length === 0 || attempt === 400) return found;
    await sleep(50);
  }
}

export async function killSessions(server: DatabaseServer): Promise<void> {
  const found = await list(
    server,
    "SELECT id FROM information_schema.PROCESSLIST WHERE user = 'root' AND id <> CONNECTION_ID()",
  );
  for (const id of found) await server.run(`KILL ${id}`).catch(() => {});
}

/** Passes `bytes` of each connection on, and then cuts all of them. */
export async function cuttingProxy(port: number, bytes: number): Promise<AsyncDisposable & { readonly port: number }> {
  const proxy = createServer((near) => {
    const far = createConnection(port, '127.0.0.1');
    let passed = 0;
    far.on('data', (chunk) => {
      passed += chunk.length;
      near.write(chunk);
      if (passed > bytes * 20) near.destroy();
    });
    near.on('data', (chunk) => void far.write(chunk));
    for (const [one, other] of [[near, far] as const, [far, near] as const]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
