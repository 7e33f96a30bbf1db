import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CertificateStatus } from '../core/gateway-status.ts';
import type { Config } from './schema.ts';

/** The certificates that a gateway shows with this configuration. Leaves out those that cannot be read. */
export function certificatesOf({ listen, admin }: Pick<Config, 'listen' | 'admin'>): CertificateStatus[] {
  return [
    ...certificateOf('listen.tls.certFile', listen.tls?.certFile),
    ...certificateOf('admin.tls.certFile', admin.tls?.certFile),
  ];
}

function certificateOf(option: string, file: string | undefined): CertificateStatus[] {
  if (file === undefined) return [];
  try {
    const { fingerprint256: fingerprint, validTo } = new X509Certificate(readFileSync(file));
    return [{ option, fingerprint, validTo: new Date(validTo).toISOString() }];
  } catch {
    return [];
  }
}

/** One line for each certificate whose file holds another one than the gateway uses. */
export function renewedCertificates(
  inUse: readonly CertificateStatus[],
  now: readonly CertificateStatus[],
): string[] {
  return now.flatMap(({ option, fingerprint, validTo }) => {
    const used = inUse.find((one) => one.option === option);
    return used === undefined || used.fingerprint === fingerprint
      ? []
      : [`${option}: another certificate in the same file, valid until ${validTo}`];
  });
}
