/** Links that give one file of one snapshot, once. */
import { z } from 'zod';
import { type Authenticated, type Maker, recordAudit } from '../../auth/index.ts';
import { HoldfastError } from '../../base/errors.ts';
import { openStoredFile, type StoredFile, storedFileRequest } from '../../operations/snapshots/stored-file.ts';
import { makeLink, requireMakerMay, takeLink } from '../download-links.ts';
import { type Route, route } from '../route.ts';

const usualSeconds = 600;
const mostSeconds = 86_400;

export const downloadRoutes: readonly Route[] = [
  route({
    ...{
      method: 'post',
      path: '/api/downloads',
      id: 'makeDownload',
      tag: 'snapshots',
      access: 'restorer',
      secret: true,
    },
    operation: 'download link',
    summary: 'Make a link that gives a file of a snapshot, or a folder as a tar file, once.',
    body: {
      ...storedFileRequest.shape,
      forSeconds: z.number().int().min(1).max(mostSeconds).default(usualSeconds),
    },
    answer: {
      form: 'json',
      schema: z.object({ url: z.string(), expiresAtMs: z.number(), snapshot: z.string(), time: z.string() }),
      status: 201,
    },
    where: ({ snapshot, repository }) => ({ snapshots: [snapshot], in: repository }),
    run: async ({ forSeconds, ...input }, { uses, facts, parts, caller }) => {
      // What cannot be read is said now, not to who follows the link; and «latest» is what it is now.
      await using found = await openStoredFile(input, uses);
      const link = {
        actor: uses.principal.name,
        by: makerOf(caller),
        input: { ...input, snapshot: found.snapshot },
        forMs: forSeconds * 1000,
      };
      const { token, expiresAtMs } = await makeLink(link, { catalogue: parts.catalogue, nowMs: parts.clock.nowMs() });
      return {
        url: `${facts.origin}/download/${token.reveal()}`,
        expiresAtMs,
        snapshot: found.snapshot,
        time: found.time,
      };
    },
  }),
  route({
    ...{ method: 'get', path: '/download/{token}', id: 'openDownload', tag: 'snapshots', access: 'anyone' },
    summary: 'What a link gives. It works once.',
    params: { token: z.string().max(100) },
    unaudited: true,
    answer: { form: 'stream', type: 'application/octet-stream', description: 'The file.' },
    run: async ({ token }, { uses, facts, parts }) => {
      const { catalogue, clock } = parts;
      const { actor, by, input } = await takeLink(token, { catalogue, nowMs: clock.nowMs() });
      const entry = { actor, action: 'download', address: facts.address };
      try {
        await requireMakerMay(by, input, uses, parts);
      } catch (error) {
        const code = error instanceof HoldfastError ? error.code : 'internal';
        const outcome = code === 'auth.forbidden' ? 'refused' : 'failed';
        await recordAudit({ ...entry, subject: input.snapshot, outcome, facts: { code } }, parts);
        throw error;
      }
      const file = await openStoredFile(input, uses);
      try {
        await recordAudit({ ...entry, subject: `${input.snapshot} ${file.name}`, outcome: 'done' }, parts);
        return fileResponse(file);
      } catch (error) {
        await file[Symbol.asyncDispose]();
        throw error;
      }
    },
  }),
];

function makerOf({ principal, token }: Authenticated): Maker {
  const { userId } = principal;
  if (userId === undefined) throw new TypeError(`${principal.name} is no account`); // a route for accounts only
  return { userId, ...(token === undefined ? {} : { token: token.id }) };
}

/**
 * A file that cannot be read to its end breaks the connection: nobody takes a part of it for the whole. The file is disposed
 * of when its end was read, when it cannot be read, and when whoever reads it goes away.
 */
function fileResponse(file: StoredFile): Response {
  const parts = file.parts[Symbol.asyncIterator]();
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    closed ??= Promise.resolve(file[Symbol.asyncDispose]());
    await closed;
  };
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const one = await parts.next();
          if (!one.done) return controller.enqueue(one.value);
          await close();
          controller.close();
        } catch (error) {
          await close().finally(() => controller.error(error));
        }
      },
      cancel: async () => {
        try {
          await parts.return?.();
        } finally {
          await close();
        }
      },
    },
    { highWaterMark: 1 },
  );
  const plain = file.name.replaceAll(/[^\x20-\x7e]|["\\]/g, '_');
  const headers = {
    'content-type': 'application/octet-stream',
    // It is given once, so it cannot be had in pieces.
    'accept-ranges': 'none',
    'content-disposition': `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(file.name.toWellFormed())}`,
    ...(file.bytes === undefined ? {} : { 'content-length': String(file.bytes) }),
  };
  return new Response(body, { headers });
}
