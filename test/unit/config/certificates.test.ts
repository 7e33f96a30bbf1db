import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificatesOf, renewedCertificates } from '../../../src/config/certificates.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { reloadPreviewStatus } from '../../../src/wiring/reload-preview.ts';
import { CERTIFICATE, KEY } from './tls-fixture.ts';

let folder: string;
let config: Config;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ici-certificates-'));
  writeFileSync(join(folder, 'one.pem'), CERTIFICATE);
  writeFileSync(join(folder, 'one.key'), KEY, { mode: 0o600 });
  config = loadConfig({
    env: { HOME: folder },
    text: `
pools: [{ name: ici, instances: [{ id: a, url: 'http://a' }] }]
listen: { tls: { certFile: ${folder}/one.pem, keyFile: ${folder}/one.key } }
`,
  }).config;
});
afterAll(() => rmSync(folder, { recursive: true }));

const OLD = { option: 'listen.tls.certFile', fingerprint: '00:11', validTo: '2026-12-01T00:00:00.000Z' };
const UNCHANGED = {
  text: 'the gateway already runs with this configuration',
  problems: [],
  changes: [],
  refused: [],
  rebinds: [],
};

test('a certificate that was renewed in its file is a change that a reload makes', () => {
  const preview = reloadPreviewStatus({ ...UNCHANGED, config }, { pools: [], certificates: [OLD] });
  expect(preview.text).toBe('a reload brings it into effect');
  expect(preview.changes).toEqual([
    'listen.tls.certFile: another certificate in the same file, valid until 2126-10-29T02:07:45.000Z',
  ]);
});

test('the same certificate is no change, and one that cannot be read is left to the checks', () => {
  const now = certificatesOf(config);
  expect(renewedCertificates(now, certificatesOf(config))).toEqual([]);
  const { text } = reloadPreviewStatus({ ...UNCHANGED, config }, { pools: [], certificates: now });
  expect(text).toBe(UNCHANGED.text);
  const gone = { certFile: join(folder, 'gone.pem'), keyFile: join(folder, 'one.key') } as never;
  expect(certificatesOf({ ...config, listen: { ...config.listen, tls: gone } })).toEqual([]);
});
