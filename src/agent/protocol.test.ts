import { expect, test } from 'vitest';
import { isCompatible, readToAgent, readToServer } from './protocol.ts';

/** As versions before and after this one write them. */
const fromOlderAgent = [
  { kind: 'hello', protocol: { major: 1, minor: 0 }, version: '0.1.0', hostname: 'far', instance: 'i' },
  { kind: 'accepted', runId: 'r', fence: 1 },
  { kind: 'events', runId: 'r', fence: 1, from: 1, events: [{ type: 'note', message: 'm' }] },
  {
    kind: 'result',
    ...{ runId: 'r', fence: 1, operation: 'backup', outcome: { ok: true, output: {} }, startedAtMs: 1, endedAtMs: 2 },
  },
  { kind: 'heartbeat' },
];
const fromNewerAgent = [
  {
    kind: 'hello',
    ...{ protocol: { major: 1, minor: 7 }, version: '3.0.0', hostname: 'far', instance: 'i', cpus: 64 },
    features: ['renew', 'mirror'],
    runs: [{ runId: 'r', fence: 1, state: 'running', source: 's', since: 5 }],
  },
  { kind: 'heartbeat', load: 0.5 },
  {
    kind: 'events',
    runId: 'r',
    fence: 1,
    from: 1,
    events: [
      { type: 'picture', png: '' },
      { type: 'note', message: 'm', by: 'x' },
    ],
  },
];

test('what an older agent leaves out and a newer one adds does no harm', () => {
  for (const message of [...fromOlderAgent, ...fromNewerAgent]) {
    expect(readToServer(JSON.stringify(message)), message.kind).toMatchObject({ kind: message.kind });
  }
  expect(readToServer(JSON.stringify(fromOlderAgent[0]))).toMatchObject({ features: [], runs: [], platform: '' });
  const events = readToServer(JSON.stringify(fromNewerAgent[2]));
  expect(events, 'an event of an unknown type keeps its number').toMatchObject({
    events: [null, { type: 'note', message: 'm' }],
  });
});

test('an agent ignores what a newer server says that it does not know', () => {
  expect(readToAgent('{"kind":"rearrange","how":1}')).toBe('unknown');
  expect(readToAgent('{"kind":"ping","sentAtMs":1}')).toEqual({ kind: 'ping' });
  const perform = { runId: 'r', fence: 2, operation: 'backup', input: {}, configuration: '', secrets: {}, priority: 3 };
  expect(readToAgent(JSON.stringify({ kind: 'perform', ...perform }))).toMatchObject({ operation: 'backup', fence: 2 });
});

test('a message that is not what its kind says is a fault, whatever it is made of', () => {
  const wrong = [
    '',
    'null',
    '[]',
    '{"kind":7}',
    '{"kind":"perform"}',
    '{"kind":"ack","runId":"r","fence":1.5,"upTo":1}',
  ];
  for (const text of wrong) expect(readToAgent(text), text).toBe('malformed');
  expect(readToServer('{"kind":"constructor"}')).toBe('unknown');
  expect(readToServer(JSON.stringify({ kind: 'renewal', request: 'x'.repeat(20_000) }))).toBe('malformed');
});

test('another major version is another protocol', () => {
  expect([isCompatible({ major: 1 }), isCompatible({ major: 2 }), isCompatible({ major: 0 })]).toEqual([
    true,
    false,
    false,
  ]);
});
