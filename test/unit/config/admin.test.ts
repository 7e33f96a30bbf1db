import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load, MINIMAL, problemsOf, warningsOf } from './support.ts';

const LINE = '$scrypt$ln=14,r=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g';

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ici-gateway-admin-'));
  writeFileSync(at('users'), `miller:operator:${LINE}\nadmin:admin:${LINE}\n`, { mode: 0o600 });
  writeFileSync(at('sapcontrol'), `monitor:${LINE}\n`, { mode: 0o600 });
  writeFileSync(at('token'), '0123456789abcdef\n', { mode: 0o600 });
  writeFileSync(at('short'), '0123\n', { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const withAdmin = (admin: string): string => `${MINIMAL}admin: { ${admin} }`;
const problems = (admin: string): string[] =>
  problemsOf(withAdmin(admin)).map((line) =>
    line.replace(/^gateway\.yaml:\d+:\d+ /, '').replaceAll(folder, 'F'),
  );
const warnings = (admin: string): string[] =>
  warningsOf(withAdmin(admin)).map((line) => line.replace(/^gateway\.yaml:\d+:\d+ /, ''));

test('users and tokens are accepted', () => {
  const { admin } = load(
    withAdmin(`passwordFile: '${at('users')}', tokens: [{ name: ci, role: viewer, file: '${at('token')}' }]`),
  ).config;
  expect(admin).toMatchObject({
    tokens: [{ name: 'ci', role: 'viewer', file: at('token') }],
    metrics: 'open',
    sessionIdle: 30 * 60_000,
    sessionLifetime: 12 * 3_600_000,
  });
});

describe('what is wrong is named', () => {
  test.each([
    [
      'a user file of SAPControl',
      () => `passwordFile: '${at('sapcontrol')}'`,
      [
        'admin.passwordFile: F/sapcontrol: the line of monitor has no role; make one with: ici-gateway hash-password USER --role ROLE',
      ],
    ],
    [
      'a token that is too short',
      () => `tokens: [{ name: ci, role: viewer, file: '${at('short')}' }]`,
      [expect.stringMatching(/^admin\.tokens\[0\]\.file: F\/short must contain 16 or more letters/)],
    ],
    [
      'a token without a role',
      () => `tokens: [{ name: ci, file: '${at('token')}' }]`,
      [expect.stringMatching(/^admin\.tokens\[0\]\.role: /)],
    ],
    [
      'two tokens with one name',
      () =>
        `tokens: [{ name: ci, role: viewer, file: '${at('token')}' }, { name: ci, role: admin, file: '${at('token')}' }]`,
      ['admin.tokens[1].name: is ci, and so is that of tokens[0]; use another name'],
    ],
    [
      'a token with the name of a user',
      () =>
        `passwordFile: '${at('users')}', tokens: [{ name: miller, role: viewer, file: '${at('token')}' }]`,
      ['admin.tokens[0].name: is miller, and so is that of a user in admin.passwordFile; use another name'],
    ],
    [
      'a token with the name of the shared one',
      () => `tokens: [{ name: admin, role: viewer, file: '${at('token')}' }]`,
      ['admin.tokens[0].name: is admin, and so is that of admin.tokenFile; use another name'],
    ],
    [
      'an idle end after the last one',
      () => 'sessionIdle: 2h, sessionLifetime: 1h',
      ['admin.sessionIdle: is 2h, longer than sessionLifetime (1h); make it shorter'],
    ],
    [
      'a certificate without a file',
      () => 'tls: { certFile: /nowhere/c.pem, keyFile: /nowhere/k.pem }',
      [
        'admin.tls.certFile: /nowhere/c.pem cannot be read: no such file',
        'admin.tls.keyFile: /nowhere/k.pem cannot be read: no such file',
      ],
    ],
    [
      'a path in the address for others',
      () => "advertise: 'https://gw1.example.com/admin'",
      [
        'admin.advertise: must be http://host[:port] or https://host[:port], without a path; it is "https://gw1.example.com/admin"',
      ],
    ],
    [
      'a host with a port',
      () => "hosts: ['gw1.example.com:9090']",
      [expect.stringMatching(/^admin\.hosts\[0\]: must be a host name/)],
    ],
  ])('%s', (_, admin, expected) => {
    expect(problems(admin())).toEqual(expected);
  });

  test('a file with a role is not for SAPControl', () => {
    const [problem] = problemsOf(`${MINIMAL}sapcontrol: { passwordFile: '${at('users')}' }`);
    expect(problem).toContain('the line of miller has a role and is for admin.passwordFile');
  });
});

describe('an admin port that other hosts reach', () => {
  const LACKS =
    'has no users and no tokens, so other hosts get only probes and metrics; set admin.passwordFile or admin.tokens';

  test.each(['0.0.0.0:9090', '[::]:9090', '10.0.0.1:9090', 'gw1:9090'])(
    'at %s warns without users and tokens',
    (address) => {
      expect(warnings(`address: '${address}'`)).toEqual([`admin.address: is ${address}, and ${LACKS}`]);
      expect(warnings(`address: '${address}', tokenFile: '${at('token')}'`)).toEqual([]);
    },
  );

  test.each(['127.0.0.1:9090', '127.1.2.3:9090', '[::1]:9090', 'localhost:9090'])('%s is none', (address) => {
    expect(warnings(`address: '${address}'`)).toEqual([]);
  });

  test('a user with the name of the shared token is named', () => {
    expect(warnings(`passwordFile: '${at('users')}', tokenFile: '${at('token')}'`)).toEqual([
      'admin.passwordFile: has a user admin, and the event log calls the token in tokenFile admin too; rename the user',
    ]);
  });
});
