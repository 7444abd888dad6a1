/** Try out the channels: a message through each, past all rules of who is told of what, and what the other side said. */
import { hostname } from 'node:os';
import { z } from 'zod';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { sortableId } from '../../base/sortable-id.ts';
import { type ChannelEntry, readSecret, suggestion } from '../../config/index.ts';
import type { HoldfastEvent } from '../../model/event.ts';
import { compose } from '../../notify/compose.ts';
import { OpenChannels } from '../../notify/open-channels.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';

const input = z.object({ channel: z.string().optional() });
const output = z.object({
  ok: z.boolean(),
  channels: z.array(
    z.object({
      name: z.string(),
      kind: z.string(),
      ok: z.boolean(),
      /** Where it goes; absent if it could not be opened. */
      title: z.string().optional(),
      tookMs: z.number(),
      error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
    }),
  ),
});
export type NotifyTestOutput = z.infer<typeof output>;

type Uses = SourceAccess & Execution;

/** One channel, or all of them. `config.unknown-name`. */
export const notifyTest = operation({
  name: 'notify test',
  permission: 'admin',
  input,
  output,
  run: async ({ channel }: z.infer<typeof input>, uses: Uses): Promise<NotifyTestOutput> => {
    const { channelKinds: kinds, clock, env, localHost, signal } = uses;
    using channels = new OpenChannels({
      kinds,
      clock,
      env,
      secret: (reference, owner) =>
        readSecret(reference, owner, { env, signal, run: (command) => localHost().run(command) }),
    });
    const tried = await Promise.all(chosen(uses, channel).map((entry) => tryOut(channels, entry, uses)));
    return { ok: tried.every((one) => one.ok), channels: tried };
  },
});

function chosen({ config }: Uses, name: string | undefined): ChannelEntry[] {
  const entries = [...config.notifications.values()];
  if (name === undefined) return entries;
  const entry = config.notifications.get(name);
  if (entry) return [entry];
  throw new HoldfastError({
    code: 'config.unknown-name',
    message: `there is no channel «${name}» in ${config.file}`,
    remedy: suggestion(name, [...config.notifications.keys()], 'channel'),
  });
}

async function tryOut(
  channels: OpenChannels,
  entry: ChannelEntry,
  { clock, config, signal }: Uses,
): Promise<NotifyTestOutput['channels'][number]> {
  const { name, kind } = entry;
  const startMs = clock.monotonicMs();
  const tookMs = (): number => Math.round(clock.monotonicMs() - startMs);
  let title: string | undefined;
  try {
    const channel = await channels.open(entry);
    title = channel.title;
    const event = trialEvent(name, clock.nowMs());
    const telling = { event, times: 1, sinceMs: event.atMs, isRecovery: false };
    await channel.send(compose([telling], { serverUrl: config.server.url }), signal);
    return { name, kind, ok: true, title, tookMs: tookMs() };
  } catch (error) {
    signal.throwIfAborted();
    const known = error instanceof HoldfastError ? error : undefined;
    const { code = 'internal', remedy = 'This is a fault in Holdfast: report it.' } = known ?? {};
    const told = { code, message: messageOf(error), remedy };
    return { name, kind, ok: false, ...(title === undefined ? {} : { title }), tookMs: tookMs(), error: told };
  }
}

function trialEvent(channel: string, nowMs: number): HoldfastEvent {
  return {
    id: sortableId(nowMs),
    type: 'notification.test',
    severity: 'info',
    atMs: nowMs,
    title: `Holdfast on ${hostname()} tries out the channel ${channel}`,
    message: 'If you can read this, you will be told when something fails.',
    facts: { channel },
  };
}
