import { describe, expect, test } from 'vitest';
import { type EventType, eventTypes, type HoldfastEvent, severityOf } from '../model/event.ts';
import { type ChannelPlan, takes } from './route.ts';

const plan = (given: Partial<ChannelPlan> = {}): ChannelPlan => ({
  name: 'phone',
  kind: 'ntfy',
  settings: {},
  on: [],
  sources: [],
  policies: [],
  repositories: [],
  workspaces: [],
  ...given,
});

const event = (type: EventType, more: Partial<HoldfastEvent> = {}): HoldfastEvent => ({
  id: '1',
  type,
  severity: severityOf(type),
  atMs: 0,
  title: type,
  facts: {},
  ...more,
});

const taken = (given: Partial<ChannelPlan>, one: HoldfastEvent, kindOn?: readonly string[]): boolean =>
  takes(plan(given), one, { kindOn, workspacesOf: ({ source }) => [source === 'shop' ? 'business' : 'default'] });

describe('who is told of what', () => {
  test('without a word, of every error and of nothing else', () => {
    const told = (Object.keys(eventTypes) as EventType[]).filter((type) => taken({}, event(type)));
    expect(told).toEqual((Object.keys(eventTypes) as EventType[]).filter((type) => severityOf(type) === 'error'));
    expect(told).toContain('drill.failed');
    expect(told).not.toContain('run.warning');
  });

  test('of the types that are named, whatever their severity', () => {
    const on = ['backup.failed', 'drill.*'];
    expect(taken({ on }, event('backup.failed'))).toBe(true);
    expect(taken({ on }, event('drill.succeeded'))).toBe(true);
    expect(taken({ on }, event('backup.succeeded'))).toBe(false);
    expect(taken({ on: ['*'] }, event('server.started'))).toBe(true);
    expect(taken({ on: ['*'], severity: 'warning' }, event('server.started'))).toBe(false);
    expect(taken({ severity: 'info' }, event('server.started'))).toBe(true);
  });

  test('a kind may have types of its own, which «on» replaces', () => {
    expect(taken({}, event('backup.succeeded'), ['backup.succeeded'])).toBe(true);
    expect(taken({}, event('drill.failed'), ['backup.succeeded'])).toBe(false);
    expect(taken({ on: ['drill.failed'] }, event('backup.succeeded'), ['backup.succeeded'])).toBe(false);
  });

  test('of what it was declared for: sources, policies, repositories and workspaces, all of them', () => {
    const one = event('backup.failed', { source: 'shop', policy: 'nightly', repository: 'nas' });
    expect(taken({ sources: ['shop', 'wiki'] }, one)).toBe(true);
    expect(taken({ sources: ['wiki'] }, one)).toBe(false);
    expect(taken({ sources: ['shop'], policies: ['weekly'] }, one)).toBe(false);
    expect(taken({ policies: ['nightly'], repositories: ['nas'] }, one)).toBe(true);
    expect(taken({ repositories: ['r2'] }, one)).toBe(false);
    expect(taken({ workspaces: ['business'] }, one)).toBe(true);
    expect(taken({ workspaces: ['default'] }, one)).toBe(false);
    expect(taken({ sources: ['shop'] }, event('config.refused'))).toBe(false);
  });

  test('a trial and the failure of a channel are not told through the channel itself', () => {
    expect(taken({ on: ['*'] }, event('notification.test'))).toBe(false);
    expect(taken({ on: ['*'] }, event('channel.failed', { facts: { channel: 'phone' } }))).toBe(false);
    expect(taken({ on: ['*'] }, event('channel.failed', { facts: { channel: 'mail' } }))).toBe(true);
  });
});
