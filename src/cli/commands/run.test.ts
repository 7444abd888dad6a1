import { expect, test } from 'vitest';
import { describeDue } from './run.ts';

test('what was left out or taken back is not shown as a failure', () => {
  const drill = { id: '01', kind: 'drill', source: 'shop', repository: 'usb', state: 'cancelled' } as const;
  const away = { code: 'storage.not-found', message: 'usb is away', remedy: 'Nothing needs to be done.' };
  const stopped = { code: 'cancelled', message: 'somebody asked it to stop', remedy: 'Start it again.' };
  const failed = { code: 'storage.full', message: 'there is no space', remedy: 'Make room.' };
  const runs = [
    { ...drill, state: 'succeeded' as const },
    { ...drill, error: away },
    { ...drill, error: stopped },
    { ...drill, state: 'failed' as const, error: failed },
  ];
  expect(describeDue({ ok: false, runs, left: 0, untold: 0 }).split('\n')).toEqual([
    '✓ drill shop (usb): succeeded',
    '· drill shop (usb): left out: usb is away',
    '    Nothing needs to be done.',
    '· drill shop (usb): cancelled: somebody asked it to stop',
    '    Start it again.',
    '✗ drill shop (usb): failed: there is no space',
    '    Make room.',
  ]);
});
