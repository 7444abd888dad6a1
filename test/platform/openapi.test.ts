import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { documentedRoutes } from '../support/api-document.ts';
import { Serving } from '../support/serving.ts';

const serving = new Serving('repositories: {}\nsources: {}\n');
const redocly = fileURLToPath(new URL('../../node_modules/.bin/redocly', import.meta.url));
const rules = fileURLToPath(new URL('./redocly.yaml', import.meta.url));

beforeAll(() => serving.start());
afterAll(() => serving.dispose());

describe('the OpenAPI document', () => {
  it('is clean by a linter’s recommended rules, warnings included', async () => {
    writeFileSync(serving.path('openapi.json'), await (await serving.ask('/api/openapi.json')).text());
    const lint = promisify(execFile)(
      redocly,
      ['lint', '--config', rules, '--format', 'stylish', serving.path('openapi.json')],
      {
        env: { ...process.env, REDOCLY_TELEMETRY: 'off', CI: 'true' },
      },
    );
    const { stdout, stderr } = await lint.catch((error: { stdout: string; stderr: string }) => error);
    expect(`${stdout}${stderr}`).toMatch(/valid/);
    expect(`${stdout}${stderr}`).not.toMatch(/warning|error/i);
  });

  it('says of every route what it needs, what it is for, and how errors look', async () => {
    const document = await serving.json<{
      paths: Record<string, Record<string, { summary: string; responses: object }>>;
    }>('/api/openapi.json');
    const routes = await documentedRoutes(serving);
    expect(new Set(routes.map((one) => one.id)).size).toBe(routes.length);
    for (const methods of Object.values(document.paths)) {
      for (const one of Object.values(methods)) {
        expect(one.summary).toMatch(/\.$/);
        expect(Object.keys(one.responses)).toEqual(expect.arrayContaining(['4XX', 'default']));
      }
    }
  });
});
