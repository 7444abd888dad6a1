/** What is declared: checked, compared, put to use. The file is the server's; who may change it may do everything. */
import { apply } from '../../operations/configuration/apply.ts';
import { exportConfiguration } from '../../operations/configuration/export.ts';
import { objectGet, objectList, objectPut, objectRemove } from '../../operations/configuration/objects/objects.ts';
import { plan } from '../../operations/configuration/plan.ts';
import { validate } from '../../operations/configuration/validate.ts';
import { operationRoute } from '../operation-route.ts';
import type { Route, Subject } from '../route.ts';

const everything = (): Subject => ({ everything: true });

export const configurationRoutes: readonly Route[] = [
  operationRoute(validate, {
    ...{ method: 'get', path: '/api/configuration/validation', id: 'validateConfiguration', tag: 'configuration' },
    summary: 'What is declared, with warnings; with `secrets`, whether each secret can be read.',
    where: everything,
  }),
  operationRoute(plan, {
    ...{ method: 'post', path: '/api/configuration/plan', id: 'planConfiguration', tag: 'configuration' },
    summary: 'What the server’s file, or a text, would change, and what that comes to. Nothing is done.',
    where: everything,
  }),
  operationRoute(apply, {
    ...{ method: 'post', path: '/api/configuration/apply', id: 'applyConfiguration', tag: 'configuration' },
    summary: 'Put the server’s file to use as it is now.',
    where: everything,
  }),
  operationRoute(exportConfiguration, {
    ...{ method: 'get', path: '/api/configuration', id: 'exportConfiguration', tag: 'configuration' },
    summary: 'The whole configuration as one file, secrets as references only.',
    where: everything,
  }),
  operationRoute(objectList, {
    ...{ method: 'get', path: '/api/configuration/objects', id: 'listObjects', tag: 'configuration' },
    summary: 'Every entry of the configuration, where it is from, and whether it is used.',
    where: everything,
  }),
  operationRoute(objectGet, {
    ...{ method: 'get', path: '/api/configuration/objects/{section}/{name}', id: 'getObject', tag: 'configuration' },
    summary: 'An entry as it was written; secrets are references.',
    where: everything,
  }),
  operationRoute(objectPut, {
    ...{ method: 'put', path: '/api/configuration/objects/{section}/{name}', id: 'putObject', tag: 'configuration' },
    summary:
      'Make or change an entry that the file does not own. Secrets written in it are sealed and never given back.',
    where: everything,
  }),
  operationRoute(objectRemove, {
    ...{
      method: 'delete',
      path: '/api/configuration/objects/{section}/{name}',
      id: 'removeObject',
      tag: 'configuration',
    },
    summary: 'Remove an entry that the file does not own and nothing else refers to.',
    where: everything,
  }),
];
