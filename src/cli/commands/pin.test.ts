import { expect, test } from 'vitest';
import { describePins } from './pin.ts';

const one = { id: 'abcdef0123456789', repository: 'nas', source: 'tracker' };

test('says what was let go, and what never was pinned', () => {
  expect(describePins({ snapshots: [{ ...one, pinned: false, changed: true }] })).toContain('is not pinned any more');
  expect(
    describePins({ snapshots: [{ ...one, pinned: false, changed: false, others: [], lookedIn: ['nas', 'usb'] }] }),
  ).toBe('· snapshot abcdef01 in nas was not pinned, and no other of tracker is in nas, usb');
  const others = [{ id: '0123456789', time: '2026-11-20T03:00:00Z', repository: 'usb' }];
  const text = describePins({ snapshots: [{ ...one, pinned: false, changed: false, others }] });
  expect(text).toMatch(
    /^· snapshot abcdef01 in nas was not pinned; nothing was changed. Pinned of tracker:\n {4}01234567 .* usb$/,
  );
  expect(text).not.toContain('any more');
});
