/**
 * What services document that they take, as schemas that take nothing else: docs.slack.dev (incoming webhooks, Block Kit),
 * docs.discord.com (Execute Webhook), core.telegram.org/bots/api (sendMessage), Microsoft Teams' workflows (adaptive cards),
 * gotify.net/api-docs, pushover.net/api.
 */
import { z } from 'zod';

export interface DocumentedKind {
  readonly name: string;
  readonly yaml: string;
  readonly env: Readonly<Record<string, string>>;
  /** What the service takes; it gives all that a person will see of it. */
  readonly body: z.ZodType;
  readonly host: string;
  readonly path: string;
  /** As the service refuses. */
  readonly refusal: { readonly status: number; readonly body: string };
}

const url = z.string().startsWith('https://');
const text = (most: number) => z.string().min(1).max(most);

export const documentedKinds: readonly DocumentedKind[] = [
  {
    name: 'slack',
    yaml: 'notifications: { c: { slack: { env: A } } }',
    env: { A: 'https://hooks.slack.com/services/T00000000/B00000000/XXXXsecretXXXX' },
    body: z.strictObject({
      text: text(40_000),
      blocks: z
        .array(
          z.union([
            z.strictObject({
              type: z.literal('header'),
              text: z.strictObject({ type: z.literal('plain_text'), text: text(150), emoji: z.boolean() }),
            }),
            z.strictObject({
              type: z.literal('section'),
              text: z.strictObject({ type: z.literal('plain_text'), text: text(3000), emoji: z.boolean() }),
            }),
            z.strictObject({
              type: z.literal('section'),
              text: z.strictObject({ type: z.literal('mrkdwn'), text: text(3000) }),
            }),
          ]),
        )
        .max(50),
      unfurl_links: z.boolean(),
      unfurl_media: z.boolean(),
    }),
    host: 'https://hooks.slack.com',
    path: '/services/T00000000/B00000000/XXXXsecretXXXX',
    refusal: { status: 404, body: 'no_service' },
  },
  {
    name: 'discord',
    yaml: 'notifications: { c: { discord: { env: A } } }',
    env: { A: 'https://discord.com/api/webhooks/1111111111/very-secret-token' },
    body: z.strictObject({
      embeds: z
        .array(
          z.strictObject({
            title: text(256),
            description: text(4096),
            color: z.int().min(0).max(0xffffff),
            timestamp: z.iso.datetime(),
            url: url.optional(),
          }),
        )
        .min(1)
        .max(10),
      allowed_mentions: z.strictObject({ parse: z.array(z.never()) }),
    }),
    host: 'https://discord.com',
    path: '/api/webhooks/1111111111/very-secret-token?wait=true',
    refusal: { status: 404, body: '{"message": "Unknown Webhook", "code": 10015}' },
  },
  {
    name: 'telegram',
    yaml: 'notifications: { c: { telegram: -1001234567890, token: { env: A }, thread: 7 } }',
    env: { A: '123456:ABC-secret_ghIkl' },
    body: z.strictObject({
      chat_id: z.string(),
      message_thread_id: z.int(),
      text: text(4096).refine(
        (html) => /^(?:[^<>&]|&(?:amp|lt|gt|quot|#39);|<\/?b>|<a href="[^"<>]*">|<\/a>)*$/u.test(html),
        'is no HTML Telegram takes',
      ),
      parse_mode: z.literal('HTML'),
      link_preview_options: z.strictObject({ is_disabled: z.literal(true) }),
      disable_notification: z.boolean(),
    }),
    host: 'https://api.telegram.org',
    path: '/bot123456:ABC-secret_ghIkl/sendMessage',
    refusal: { status: 401, body: '{"ok":false,"error_code":401,"description":"Unauthorized"}' },
  },
  {
    name: 'teams',
    yaml: 'notifications: { c: { teams: { env: A } } }',
    env: {
      A: 'https://prod-1.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke?api-version=2016-06-01&sig=very-secret-signature',
    },
    body: z.strictObject({
      type: z.literal('message'),
      attachments: z
        .array(
          z.strictObject({
            contentType: z.literal('application/vnd.microsoft.card.adaptive'),
            contentUrl: z.null(),
            content: z.strictObject({
              $schema: z.literal('http://adaptivecards.io/schemas/adaptive-card.json'),
              type: z.literal('AdaptiveCard'),
              version: z.literal('1.4'),
              msteams: z.strictObject({ width: z.literal('Full') }),
              body: z
                .array(z.looseObject({ type: z.literal('TextBlock'), text: z.string().min(1), wrap: z.literal(true) }))
                .min(1),
              actions: z
                .array(z.strictObject({ type: z.literal('Action.OpenUrl'), title: z.string(), url }))
                .max(6)
                .optional(),
            }),
          }),
        )
        .length(1),
    }),
    host: 'https://prod-1.westeurope.logic.azure.com',
    path: '/workflows/abc/triggers/manual/paths/invoke?api-version=2016-06-01&sig=very-secret-signature',
    refusal: { status: 401, body: '{"error":{"code":"AuthorizationFailed","message":"sig=very-secret-signature"}}' },
  },
  {
    name: 'gotify',
    yaml: 'notifications: { c: { gotify: "https://gotify.example/base/", token: { env: A } } }',
    env: { A: 'AsecretToken' },
    body: z.strictObject({
      title: text(250),
      message: z.string().min(1),
      priority: z.int().min(0).max(10),
      extras: z.strictObject({
        'client::display': z.strictObject({ contentType: z.literal('text/plain') }),
        'client::notification': z.strictObject({ click: z.strictObject({ url }) }),
      }),
    }),
    host: 'https://gotify.example',
    path: '/base/message',
    refusal: {
      status: 401,
      body: '{"error":"Unauthorized","errorCode":401,"errorDescription":"you need to provide a valid access token"}',
    },
  },
  {
    name: 'pushover',
    yaml: 'notifications: { c: { pushover: { env: A }, token: { env: B }, device: pixel, priorities: { error: 2 } } }',
    env: { A: 'uQiRzpo4DXghDmr9QzzfQu27cmVRsG', B: 'azGDORePK8gMaC0QOYAMyEEuzJnyUi' },
    body: z
      .strictObject({
        token: z.string().length(30),
        user: z.string().length(30),
        device: z.string(),
        title: text(250),
        message: z
          .string()
          .min(1)
          .refine((one) => [...one].length <= 1024, 'is too long'),
        priority: z.int().min(-2).max(2),
        retry: z.int().min(30).optional(),
        expire: z.int().max(10_800).optional(),
        timestamp: z.int(),
        url: url.max(512),
        url_title: text(100),
      })
      .refine(({ priority, retry, expire }) => priority < 2 || (retry !== undefined && expire !== undefined)),
    host: 'https://api.pushover.net',
    path: '/1/messages.json',
    refusal: {
      status: 400,
      body: '{"user":"invalid","errors":["user identifier is invalid"],"status":0,"request":"r"}',
    },
  },
];
