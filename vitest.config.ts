import { defineConfig } from 'vitest/config';

// Run in this order by test/run: fast tests beside their code, then what crosses folders, then what needs real servers, then the slow proofs.
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // The last lines of a log must tell what happened.
    chaiConfig: { truncateThreshold: 400 },
    taskTitleValueFormatTruncate: 200,
    // Programs that must start first take their time on a machine that is busy.
    expect: { poll: { timeout: 20_000 } },
    pool: 'forks',
    globalSetup: ['test/servers/restic.ts'],
    // Tests leave nothing behind; those of the cache have a folder of their own.
    env: { HOLDFAST_CACHE: 'off' },
    // Two cores are what most machines of CI have; test/run-projects.ts raises it where tests mostly wait.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts', 'kernels/**/*.test.ts'] } },
      {
        extends: true,
        test: { name: 'interop', include: ['test/{interop,e2e,guards}/**/*.test.ts'], testTimeout: 240_000 },
      },
      {
        extends: true,
        test: {
          name: 'drivers',
          include: ['test/{drivers,hosts,storage}/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: { name: 'platform', include: ['test/platform/**/*.test.ts'], testTimeout: 240_000, hookTimeout: 120_000 },
      },
      {
        extends: true,
        test: { name: 'slow', include: ['test/{crash,soak,scale}/**/*.test.ts'], testTimeout: 900_000 },
      },
    ],
  },
});
