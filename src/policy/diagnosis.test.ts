import { expect, it } from 'vitest';
import { type DiagnosisFacts, suggestNext } from './diagnosis.ts';

const facts = (given: Partial<DiagnosisFacts> = {}): DiagnosisFacts => ({
  kind: 'backup',
  source: 'shop',
  repository: 'nas',
  host: 'db1',
  code: 'internal',
  failures: 1,
  alike: { sameHost: 0, sameRepository: 0, sameError: 0 },
  configChanged: false,
  retriedWell: false,
  ...given,
});
const action = (given: Partial<DiagnosisFacts>): string => suggestNext(facts(given)).action;

it('has nothing to suggest once a later run went well', () => {
  expect(action({ code: 'storage.full', retriedWell: true })).toBe('nothing');
});

it('looks at what several failures have in common before it looks at the source', () => {
  expect(action({ code: 'source.unreadable', alike: { sameHost: 3, sameRepository: 0, sameError: 0 } })).toBe(
    'holdfast host check db1',
  );
  expect(action({ code: 'internal', alike: { sameHost: 0, sameRepository: 4, sameError: 0 } })).toBe(
    'holdfast storage check nas',
  );
  expect(action({ code: 'source.unreadable' })).toBe('holdfast driver check shop');
});

it('goes by the error: what is full is freed, what is damaged is checked, what died is started again', () => {
  expect(action({ code: 'storage.full' })).toBe('holdfast repo prune nas');
  expect(action({ code: 'repository.damaged' })).toBe('holdfast repo check nas');
  expect(action({ code: 'secret.unavailable' })).toBe('holdfast validate --secrets');
  expect(action({ code: 'host.unreachable' })).toBe('holdfast host check db1');
  expect(suggestNext(facts({ code: 'run.lost' }))).toMatchObject({ tryAgain: true });
  expect(action({ code: 'agent.away', host: 'local' })).toContain('this machine');
});

it('suspects a change of the configuration when nothing else is to be seen, and patience only once', () => {
  expect(action({ configChanged: true })).toBe('holdfast plan');
  expect(suggestNext(facts())).toMatchObject({ tryAgain: true });
  expect(suggestNext(facts({ failures: 3 }))).toMatchObject({ tryAgain: false, why: 'it failed 3 times in a row' });
});
