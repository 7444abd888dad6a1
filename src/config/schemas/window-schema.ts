/** `window:` of a source: what happens around its capture. */
import { z } from 'zod';
import type { HookStep, Service, StopStep, WindowPlan } from '../../model/window.ts';
import { durationText } from './duration-schema.ts';

const hookMs = 300_000;
const stopMs = 120_000;

const argv = z.array(z.string()).min(1).describe('a program and its arguments, a list');
const engineName = z.string().regex(/^[A-Za-z0-9][\w.-]*$/, 'a name of a container');
const unitName = z.string().regex(/^[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\@-]*$/, 'a name of a systemd unit');
const composeName = z
  .string()
  .regex(/^.*[^/]+\/[A-Za-z0-9][\w.-]*$/, 'project/service, or the folder of the project, a slash and the service');

const hook = z
  .strictObject({ run: argv, timeout: durationText.optional() })
  .transform(({ run, timeout }): HookStep => ({ run, timeoutMs: timeout ?? hookMs }));

const stopped = z
  .union([
    z
      .strictObject({ container: engineName })
      .transform(({ container: name }): Service => ({ kind: 'container', name })),
    z.strictObject({ service: unitName }).transform(({ service: name }): Service => ({ kind: 'unit', name })),
    z
      .strictObject({ compose: composeName })
      .transform(({ compose }): Service => ({ kind: 'compose', name: projectAndService(compose) })),
  ])
  .describe('{ container: NAME }, { service: NAME } or { compose: PROJECT/SERVICE }');

const stop = z
  .strictObject({ stop: stopped, timeout: durationText.optional() })
  .transform(({ stop: service, timeout }): StopStep => ({ stop: service, timeoutMs: timeout ?? stopMs }));

export const windowSection = z
  .strictObject({
    before: z
      .array(z.union([hook, stop]))
      .default([])
      .describe('a list of { run: [program] } and { stop: { container: NAME } }'),
    after: z.array(hook).default([]).describe('a list of { run: [program] }; what was stopped is started by itself'),
    onFailure: z.enum(['abort', 'continue']).default('abort'),
  })
  .transform((plan): WindowPlan => plan);

/** Compose calls the project of a folder after it: lower case, letters, digits, `_` and `-`. */
function projectAndService(text: string): string {
  const [service, project] = text.split('/').toReversed();
  if (!text.includes('/', text.indexOf('/') + 1)) return `${project}/${service}`;
  return `${project.toLowerCase().replace(/[^a-z0-9_-]/g, '')}/${service}`;
}
