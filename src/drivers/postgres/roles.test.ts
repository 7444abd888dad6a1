import { describe, expect, test } from 'vitest';
import { planRoles } from './roles.ts';

const globals = [
  'CREATE ROLE admins',
  'ALTER ROLE admins WITH NOLOGIN',
  'CREATE ROLE app',
  'CREATE ROLE "read ers"',
  'CREATE ROLE web',
  'CREATE ROLE other',
  'GRANT admins TO app WITH ADMIN OPTION',
  'GRANT "read ers" TO web',
  'GRANT admins TO other',
  'GRANT pg_monitor TO app',
];
const plan = (needed: string[], present: string[]) => planRoles(globals, needed, new Set(present));

describe('roles a restore makes', () => {
  test('come with the groups they are members of, but not with all the members of those', () => {
    const { roles, statements, problems } = plan(['app'], ['pg_monitor']);
    expect(roles).toEqual(['app', 'admins']);
    expect(statements).toEqual([
      'CREATE ROLE admins',
      'ALTER ROLE admins WITH NOLOGIN',
      'CREATE ROLE app',
      'GRANT admins TO app WITH ADMIN OPTION',
      'GRANT pg_monitor TO app',
    ]);
    expect(problems).toEqual([]);
  });

  test('have the members that had their rights, new ones and present ones', () => {
    expect(plan(['read ers'], []).roles).toEqual(['read ers', 'web']);
    const { roles, statements, joining } = plan(['read ers'], ['web']);
    expect(roles).toEqual(['read ers']);
    expect(statements).toEqual(['CREATE ROLE "read ers"', 'GRANT "read ers" TO web']);
    expect(joining).toEqual(['web becomes a member of read ers']);
  });

  test('have the rights on settings that they had', () => {
    const granting = ['GRANT SET ON PARAMETER log_statement TO app', 'GRANT ALL ON PARAMETER "my.x" TO "read ers"'];
    const { statements } = planRoles([...globals, ...granting], ['app'], new Set(['pg_monitor']));
    expect(statements).toContain(granting[0]);
    expect(statements).not.toContain(granting[1]);
  });

  test('are not put into a group that the server does not know, and that is said', () => {
    const { statements, problems } = plan(['app'], ['admins']);
    expect(statements).not.toContain('GRANT pg_monitor TO app');
    expect(problems).toEqual(['app is not made a member of pg_monitor, a role that the server does not know']);
  });

  test('are made without more if the snapshot’s list of roles was written before them', () => {
    expect(plan(['late'], []).statements).toEqual(['CREATE ROLE "late"']);
  });

  test('leave alone what is there', () => {
    expect(plan([], ['app', 'web'])).toEqual({ roles: [], statements: [], joining: [], problems: [] });
  });
});
