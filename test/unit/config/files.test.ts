import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { formatProblem } from '../../../src/config/problem.ts';
import {
  readAdminToken,
  readClientTls,
  readListenerTls,
  readRedisCredentials,
  readSecretFile,
} from '../../../src/config/secrets.ts';
import { load, MINIMAL, problemsOf } from './support.ts';
import { CERTIFICATE, KEY } from './tls-fixture.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-config-'));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = {
    'cert.pem': CERTIFICATE,
    'key.pem': KEY,
    'other-key.pem': privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    'text.pem': 'no certificate',
    password: ' hunter2\n\n',
    empty: '\n',
    'api-token': '0123456789abcdef',
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(directory, name), content, { mode: 0o600 });
});

afterAll(() => rmSync(directory, { recursive: true }));

const loadHere = (text: string) => load(text, { file: join(directory, 'gateway.yaml') }).config;
const problemsHere = (text: string): string[] =>
  problemsOf(text, { file: join(directory, 'gateway.yaml') }).map((line) =>
    line.replaceAll(`${directory}/`, ''),
  );

const warningsHere = (text: string): string[] =>
  load(text, { file: join(directory, 'gateway.yaml') })
    .warnings.map(formatProblem)
    .map((line) => line.replaceAll(`${directory}/`, '').replace(/^gateway\.yaml:\d+:\d+ /, ''));

const listenTls = (tls: string): string => `${MINIMAL}listen: { tls: ${tls} }`;

describe('files that the configuration names', () => {
  test('are found beside it, and read at start', () => {
    const { listen } = loadHere(
      listenTls('{ certFile: cert.pem, keyFile: key.pem, clientCaFile: cert.pem }'),
    );
    expect(listen.tls?.certFile).toBe(join(directory, 'cert.pem'));
    expect(listen.tls && readListenerTls(listen.tls)).toEqual({
      cert: CERTIFICATE,
      key: KEY,
      ca: CERTIFICATE,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      ciphers: expect.stringMatching(/^TLS_AES_256_GCM_SHA384:.*:ECDHE-RSA-AES128-GCM-SHA256:/),
    });
  });

  test('come with cipher suites that OpenSSL knows', () => {
    const pair = 'certFile: cert.pem, keyFile: key.pem';
    expect(problemsHere(listenTls(`{ ${pair}, ciphers: 'ECDHE+AESGCM', minVersion: TLSv1.1 }`))).toEqual([
      expect.stringMatching(/listen\.tls\.minVersion: must be .*TLSv1\.2/),
    ]);
    expect(problemsHere(listenTls(`{ ${pair}, ciphers: STRONG }`))).toEqual([
      expect.stringMatching(/listen\.tls\.ciphers: STRONG has no cipher suite that OpenSSL knows/),
    ]);
  });

  test('are each reported if unusable', () => {
    expect(problemsHere(listenTls('{ certFile: nowhere.pem, keyFile: text.pem, clientCaFile: . }'))).toEqual([
      expect.stringMatching(/listen\.tls\.certFile: nowhere\.pem cannot be read: no such file$/),
      expect.stringMatching(
        /listen\.tls\.keyFile: text\.pem has no private key in PEM form; use the file of the key$/,
      ),
      expect.stringMatching(/listen\.tls\.clientCaFile: .* cannot be read: it is a directory$/),
    ]);
  });

  test('a key must be that of the certificate', () => {
    expect(problemsHere(listenTls('{ certFile: cert.pem, keyFile: other-key.pem }'))).toEqual([
      expect.stringMatching(/listen\.tls\.keyFile: other-key\.pem is not the key of cert\.pem/),
    ]);
  });

  test('the secret of session tickets must be long', () => {
    const tls = (file: string): string =>
      listenTls(`{ certFile: cert.pem, keyFile: key.pem, ticketKeyFile: ${file} }`);
    expect(problemsHere(tls('password'))).toEqual([
      expect.stringMatching(
        /listen\.tls\.ticketKeyFile: password must contain 32 or more characters; make one with: openssl rand -hex 32$/,
      ),
    ]);
    expect(loadHere(tls('key.pem')).listen.tls?.ticketKeyFile).toBe(join(directory, 'key.pem'));
  });

  test('must be PEM for a certificate', () => {
    const text = `pools: [{ name: p, instances: [{ id: a, url: 'https://a', tls: { caFile: text.pem } }] }]`;
    expect(problemsHere(text)).toEqual([
      expect.stringMatching(/instances\[0\]\.tls\.caFile: text\.pem has no certificate in PEM form/),
    ]);
  });

  test('a client certificate needs its key, and a key its certificate', () => {
    const tls = (options: string): string =>
      `pools: [{ name: p, instances: [{ id: a, url: 'https://a', tls: { ${options} } }] }]`;
    expect(problemsHere(tls('certFile: cert.pem'))).toEqual([
      expect.stringMatching(/has certFile but no keyFile/),
    ]);
    expect(problemsHere(tls('keyFile: key.pem'))).toEqual([
      expect.stringMatching(/has keyFile but no certFile/),
    ]);
  });

  test('TLS to instances is verified unless configured otherwise', () => {
    const { pools } = loadHere(
      `pools: [{ name: p, instances: [{ id: a, url: 'https://a', tls: { caFile: cert.pem, serverName: One.example.com } }] }]`,
    );
    const tls = pools[0]?.instances[0]?.tls;
    expect(tls && readClientTls(tls)).toEqual({
      rejectUnauthorized: true,
      ca: CERTIFICATE,
      servername: 'one.example.com',
    });
  });
});

describe('the password of Redis', () => {
  const redis = (options: string) => loadHere(`${MINIMAL}affinity: { redis: { ${options} } }`).affinity.redis;

  test('comes from its file, without the white space around it', () => {
    const given = redis('url: redis://r, username: gw, passwordFile: password');
    expect(given && readRedisCredentials(given)).toEqual({ username: 'gw', password: 'hunter2' });
  });

  test('comes from the url, decoded', () => {
    const given = redis("url: 'redis://gw:a%2Fb@r'");
    expect(given && readRedisCredentials(given)).toEqual({ username: 'gw', password: 'a/b' });
  });

  test('may be absent', () => {
    const given = redis('url: redis://r');
    expect(given && readRedisCredentials(given)).toEqual({});
  });

  test('is given once', () => {
    expect(
      problemsHere(`${MINIMAL}affinity: { redis: { url: 'redis://:x@r', passwordFile: password } }`),
    ).toEqual([expect.stringMatching(/passwordFile: is set, and the url has a password too/)]);
  });

  test('is not empty', () => {
    expect(problemsHere(`${MINIMAL}affinity: { redis: { url: 'redis://r', passwordFile: empty } }`)).toEqual([
      expect.stringMatching(/passwordFile: empty is empty; write the secret into it/),
    ]);
    expect(() => readSecretFile('passwordFile', join(directory, 'empty'))).toThrow('is empty');
  });
});

describe('the token of the admin plane', () => {
  const TOKEN = '0123456789abcdef';
  const tokenFile = (text: string): string => {
    writeFileSync(join(directory, 'token'), text);
    return `${MINIMAL}admin: { tokenFile: token }`;
  };

  test('comes from its file, without the white space around it', () => {
    const file = loadHere(tokenFile(`  ${TOKEN}\n`)).admin.tokenFile;
    expect(file && readAdminToken(file)).toBe(TOKEN);
  });

  test.each([
    ['short', TOKEN.slice(1)],
    ['what no header can carry', `${TOKEN} ä`],
    ['two', `${TOKEN}\n${TOKEN}`],
  ])('is not %s', (_, text) => {
    const problems = problemsHere(tokenFile(text));
    expect(problems).toEqual([
      expect.stringMatching(
        /admin\.tokenFile: token must contain 16 or more letters, digits and -\._~\+\/, and nothing else; make one with: openssl rand -hex 32/,
      ),
    ]);
    expect(problems.join()).not.toContain(text);
  });

  test('may be absent: then nothing can be changed', () => {
    expect(loadHere(MINIMAL).admin.tokenFile).toBeUndefined();
  });
});

describe('the examples', () => {
  const example = (name: string): string =>
    readFileSync(new URL(`../../../deploy/examples/${name}.yaml`, import.meta.url), 'utf8');

  test('failover: two instances, an embedded store', () => {
    const { config, warnings } = load(example('failover'));
    expect(warnings).toEqual([]);
    expect(config.pools[0]).toMatchObject({
      mode: 'failover',
      instances: [{ priority: 1 }, { priority: 2 }],
    });
    expect(config.affinity.store).toBe('embedded');
    const page = JSON.stringify({ status: 'ok', startedAt: '2026-11-22T01:00:00.000Z' });
    expect(new RegExp(config.pools[0]?.health.incarnation ?? '', 'u').exec(page)?.[1]).toBe(
      '2026-11-22T01:00:00.000Z',
    );
  });

  test('sticky-redis: three instances, a shared store', () => {
    const { config, warnings } = load(example('sticky-redis'));
    expect(warnings).toEqual([]);
    expect(config.pools[0]).toMatchObject({ mode: 'sticky', instances: [{}, {}, { weight: 0.5 }] });
    expect(config.affinity.store).toBe('redis');
  });

  test('two-pools-tls: TLS with client certificates on both sides', () => {
    const text = example('two-pools-tls')
      .replaceAll(/\/etc\/ici-gateway\/tls\/[a-z-]+\.crt/g, join(directory, 'cert.pem'))
      .replaceAll(/\/etc\/ici-gateway\/tls\/[a-z-]+\.key/g, join(directory, 'key.pem'))
      .replaceAll('/etc/ici-gateway/redis.password', join(directory, 'password'));
    const { config, warnings } = load(text);
    expect(warnings).toEqual([]);
    expect(config.pools.map((pool) => pool.name)).toEqual(['production', 'test']);
    expect(config.pools[1]?.instances[1]?.tls?.serverName).toBe('connector.example.com');
  });
});

describe('a file with a secret that every user of the host may read', () => {
  const remedy = (file: string): string =>
    `${file} is open to every user of this host (mode 644); run: chmod o= ${file}`;
  const modes = (mode: number, ...names: string[]): void => {
    for (const name of names) chmodSync(join(directory, name), mode);
  };
  afterEach(() => modes(0o600, 'key.pem', 'password', 'api-token'));

  test.each([
    ['listen.tls.keyFile', listenTls('{ certFile: cert.pem, keyFile: key.pem }'), 'key.pem'],
    ['admin.tokenFile', `${MINIMAL}admin: { tokenFile: api-token }`, 'api-token'],
    [
      'admin.tokens[0].file',
      `${MINIMAL}admin: { tokens: [{ name: t, role: viewer, file: api-token }] }`,
      'api-token',
    ],
    [
      'affinity.redis.passwordFile',
      `${MINIMAL}affinity: { redis: { url: 'redis://r', passwordFile: password } }`,
      'password',
    ],
    [
      'pools[0].instances[0].tls.keyFile',
      `pools: [{ name: p, instances: [{ id: a, url: 'https://a', tls: { certFile: cert.pem, keyFile: key.pem } }] }]`,
      'key.pem',
    ],
  ])('is a warning at %s', (option, text, file) => {
    modes(0o640, file);
    expect(warningsHere(text)).toEqual([]);
    modes(0o644, file);
    expect(warningsHere(text)).toEqual([`${option}: ${remedy(file)}`]);
  });

  test.each([
    ['affinity.redis.url', "affinity: { redis: { url: 'redis://:hunter2@r' } }"],
    ['pools[0].health.headers', '    health: { headers: [{ name: X-Key, value: hunter2 }] }'],
  ])('is a warning if the configuration file itself is one, because of %s', (option, line) => {
    const file = join(directory, 'gateway.yaml');
    writeFileSync(file, '', { mode: 0o644 });
    try {
      expect(warningsHere(MINIMAL)).toEqual([]);
      expect(warningsHere(MINIMAL + line)).toEqual([`${option}: is a secret, and ${remedy('gateway.yaml')}`]);
    } finally {
      rmSync(file);
    }
  });
});
