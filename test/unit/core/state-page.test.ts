import { expect, test } from 'vitest';
import { StatePages } from '../../../src/core/state-page.ts';

const hex = (character: string): string => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

// RFC 3986 §6.2.2.2, and §2.3 for which characters these are.
test('the state page has the same answer with an unreserved character encoded, and with no other', () => {
  const prefix = '/AZaz09-._~!@';
  const pages = new StatePages({ prefixes: [prefix], alwaysOk: false });
  const rest = '/publicicp/show_init_statepub.icp';
  expect(pages.covers(`${prefix}${rest}`)).toBe(true);
  for (const [at, character] of [...prefix].entries()) {
    const isUnreserved = /[A-Za-z0-9._~-]/.test(character);
    for (const encoded of [hex(character).toLowerCase(), hex(character).toUpperCase()]) {
      const path = `${prefix.slice(0, at)}${encoded}${prefix.slice(at + 1)}${rest}`;
      expect([path, pages.covers(path), pages.covers(`${path}?a=1`)]).toEqual([
        path,
        isUnreserved,
        isUnreserved,
      ]);
    }
  }
  for (const other of ['%', '%4', '%zz', '%255f'])
    expect(pages.covers(`${prefix}${rest}${other}`)).toBe(false);
  // As written in the configuration.
  const written = new StatePages({ prefixes: ['/%7eici'], alwaysOk: false });
  expect(written.covers(`/~ici${rest}`)).toBe(true);
});

// As SAP's clients send sessions (RFC 2396 §3.3).
test('the state page has the same answer with parameters in its path', () => {
  const pages = new StatePages({ prefixes: ['/sap/admin'], alwaysOk: false });
  const page = '/sap/admin/publicicp/show_init_statepub.icp';
  for (const same of [
    `${page};sap-sessioncmd=open`,
    `${page};a=1;b=2?c=;d`,
    `${page};`,
    '/sap;x=%3f/admin;y/publicicp;;/show_init_statepub.icp;z',
    page.replace('admin/', 'admin;sap-ext-sid=a*b/').replace('_', '%5f'),
    '/sap/public/icman/ping;x',
  ])
    expect([same, pages.covers(same)]).toEqual([same, true]);
  for (const other of [`${page};x/y`, `${page}%3bx`, `/;x${page}`, `/a?${page};x`])
    expect([other, pages.covers(other)]).toEqual([other, false]);
});
