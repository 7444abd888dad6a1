import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAtLeast, type Role, roleIn, roles } from '../../model/principal.ts';
import { type GroupRules, groupsOf, rolesOfGroups } from '../oidc/group-roles.ts';
import { cappedRoles, effectiveRoles, heldRolesOf, membershipOrigins } from './held-roles.ts';

const role = fc.constantFrom(...roles);
const workspace = fc.constantFrom('*', 'shop', 'lab');

describe('roles', () => {
  test('what the file says of a workspace counts alone, also when it is less', () => {
    const held = [
      { workspace: 'shop', role: 'owner', origin: 'ui' },
      { workspace: 'shop', role: 'viewer', origin: 'file' },
      { workspace: 'lab', role: 'viewer', origin: 'oidc' },
      { workspace: 'lab', role: 'operator', origin: 'ui' },
    ] as const;
    const wanted = { shop: 'viewer', lab: 'operator' };
    expect(Object.fromEntries(effectiveRoles(held))).toEqual(wanted);
    expect(Object.fromEntries(effectiveRoles(held.toReversed()))).toEqual(wanted);
  });

  test('rows of somebody without roles, and roles nobody knows, give nothing', () => {
    expect(heldRolesOf([{ workspace: null, role: null, origin: null }])).toEqual([]);
    expect(heldRolesOf([{ workspace: '*', role: 'god', origin: 'ui' }])).toEqual([]);
  });

  test('a ceiling never gives more than there was, and never more than itself', () => {
    const held = fc.array(fc.record({ workspace, role, origin: fc.constantFrom(...membershipOrigins) }));
    fc.assert(
      fc.property(held, role, workspace, workspace, (rows, ceiling, within, where) => {
        const owned = effectiveRoles(rows);
        const capped = cappedRoles(owned, ceiling, within);
        const asked = where === '*' ? undefined : where;
        const before = roleIn({ kind: 'user', name: 'a', roles: owned }, asked);
        const after = roleIn({ kind: 'token', name: 'a', roles: capped }, asked);
        if (after === undefined) return;
        expect(isAtLeast(before, after)).toBe(true);
        expect(isAtLeast(ceiling, after)).toBe(true);
        if (within !== '*') expect(where).toBe(within);
      }),
    );
  });
});

describe('groups', () => {
  const rules: GroupRules = {
    defaultRole: 'viewer',
    roles: new Map<string, ReadonlyMap<string, Role>>([
      ['admins', new Map([['*', 'admin']])],
      ['devs', new Map([['shop', 'restorer']])],
      ['leads', new Map([['shop', 'operator']])],
    ]),
  };

  test('give the largest role by workspace; who is in none has the default', () => {
    expect(Object.fromEntries(rolesOfGroups(['leads', 'devs', 'x'], rules))).toEqual({ shop: 'operator' });
    expect(Object.fromEntries(rolesOfGroups(['devs', 'leads', 'admins'], rules))).toEqual({
      shop: 'operator',
      '*': 'admin',
    });
    expect(Object.fromEntries(rolesOfGroups(['x'], rules))).toEqual({ '*': 'viewer' });
    expect(rolesOfGroups(['x'], { roles: rules.roles }).size).toBe(0);
  });

  test('are a list of texts or one text; nothing else is a group', () => {
    expect(groupsOf(['a', 1, null, 'b'])).toEqual(['a', 'b']);
    expect(groupsOf('a')).toEqual(['a']);
    for (const claim of [undefined, null, 3, { a: true }]) expect(groupsOf(claim)).toEqual([]);
  });
});
