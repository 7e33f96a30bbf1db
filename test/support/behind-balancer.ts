import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { TestGateway } from './test-gateway.ts';
import { startTestGateway } from './test-gateway.ts';
import { WireClient } from './wire.ts';

/** The address of a test's balancer. Any other address of the loopback network is a different client. */
export const BALANCER = '127.0.0.1';

export interface Behind {
  readonly mode?: 'off' | 'accept' | 'require';
  readonly tls?: Certificate;
}

/** A gateway that accepts PROXY headers from {@link BALANCER}. */
export function startBehind(yaml: string, { mode = 'accept', tls }: Behind = {}): Promise<TestGateway> {
  return startTestGateway(yaml, {
    env: {
      ICI_GATEWAY_LISTEN__PROXY_PROTOCOL: mode,
      ...(mode === 'off' ? {} : { ICI_GATEWAY_LISTEN__PROXY_PROTOCOL_FROM__0: BALANCER }),
      ...(tls === undefined
        ? {}
        : {
            ICI_GATEWAY_LISTEN__TLS__CERT_FILE: tls.certFile,
            ICI_GATEWAY_LISTEN__TLS__KEY_FILE: tls.keyFile,
          }),
    },
  });
}

/** The number of connections by outcome, without the outcomes that none had. */
export async function proxyOutcomes(gateway: TestGateway): Promise<Record<string, number>> {
  const { values } = await gateway.metrics.proxyConnections.get();
  return Object.fromEntries(
    values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels.outcome, value]),
  );
}

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  remove(): void;
}

/** A self-signed certificate for 127.0.0.1. */
export function makeCertificate(): Certificate {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-proxy-'));
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  execFileSync(
    'openssl',
    [
      ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'.split(' '),
      ...['-keyout', keyFile, '-out', certFile, '-subj', '/CN=gateway'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1'],
    ],
    { stdio: 'ignore' },
  );
  return { certFile, keyFile, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** @param from an address of the loopback network, of which Linux has all */
export function openFrom(from: string, port: number): Promise<WireClient> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
    socket.once('error', reject).once('connect', () => resolve(new WireClient(socket.off('error', reject))));
  });
}

/** Starts TLS on the client's connection. */
export function secured(client: WireClient, { certFile }: Certificate): Promise<WireClient> {
  client.socket.removeAllListeners('data');
  return new Promise((resolve, reject) => {
    const socket = connectTls({ socket: client.socket, host: '127.0.0.1', ca: readFileSync(certFile) }, () =>
      resolve(new WireClient(socket.off('error', reject))),
    );
    socket.once('error', reject);
  });
}
