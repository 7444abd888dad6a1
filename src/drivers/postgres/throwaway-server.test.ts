import { expect, test } from 'vitest';
import { serverOptions } from './throwaway-server.ts';

test('no trigger on connections changes a copy before it is compared, where the server knows of such', () => {
  expect(serverOptions('/run', 18)).toContain('event_triggers=off');
  expect(serverOptions('/run', 16).join()).not.toContain('event_triggers');
});
