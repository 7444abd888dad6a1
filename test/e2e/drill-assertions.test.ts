import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DrillOutput } from '../../src/operations/snapshots/drill.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { Trial } from './trial.ts';

describe('assertions of a drill', () => {
  const trial = new Trial();
  beforeAll(async () => {
    trial.write('pw', 'assertions');
    trial.sqlite(
      'shop.db',
      "CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT); INSERT INTO orders VALUES (1, 'cup')",
    );
    configure('1');
    await initCheaply(trial.path('repo'), 'assertions');
    await trial.ok('backup', '--all');
  });
  afterAll(() => trial.dispose());

  const configure = (orders: string): void =>
    trial.write(
      'holdfast.yaml',
      `
repositories: { main: { url: repo, password: { file: pw } } }
sources:
  shop:
    driver: sqlite
    path: shop.db
    repository: main
    drill:
      assert:
        - { sql: "select count(*) from orders", equals: ${orders} }
        - { command: [sh, -c, 'sqlite3 "$HOLDFAST_COPY" "select item from orders"'], equals: cup }
  export:
    driver: command
    command: [echo, dump]
    repository: main
    drill: { assert: [{ command: [grep, -q, dump, echo] }] }
`,
    );

  test('hold, and are part of the proof', async () => {
    const { ok, results } = await trial.json<DrillOutput>('drill', '--all');
    expect(ok).toBe(true);
    const asked = results.map(
      (one) => one.proof?.checks.filter(({ subject }) => subject.startsWith('assertion: ')).length,
    );
    expect(asked).toEqual([2, 1]);
  });

  test('fail the drill with what was expected and found', async () => {
    configure('7');
    const { status, stdout } = await trial.run(['drill', 'shop']);
    expect(status).toBe(1);
    expect(stdout).toContain('select count(*) from orders');
    expect(stdout).toMatch(/7.*1|1.*7/);
  });

  test('are checked when the configuration is read', async () => {
    configure('1, matches: "("');
    const { status, stderr } = await trial.run(['validate']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/sources.shop.drill.assert\[0\]/);
  });
});
