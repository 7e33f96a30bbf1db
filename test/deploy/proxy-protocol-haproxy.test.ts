import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Certificate } from '../support/behind-balancer.ts';
import {
  BALANCER,
  makeCertificate,
  openFrom,
  proxyOutcomes,
  secured,
  startBehind,
} from '../support/behind-balancer.ts';
import { eventually } from '../support/eventually.ts';
import type { Haproxy } from '../support/haproxy.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { freePort } from '../support/redis-server.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, poolOf, soapPost, WireUpstream } from '../support/wire.ts';

/** The PROXY protocol as spoken by haproxy, where it comes from. */

const REQUEST = soapPost('/', ENVELOPE);
const SENDERS: readonly (readonly [way: string, isSecure: boolean])[] = [
  ['send-proxy', false],
  ['send-proxy-v2', false],
  ['send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id,authority', false],
  ['send-proxy', true],
  ['send-proxy-v2', true],
];

let upstream: WireUpstream;
let certificate: Certificate;
let plain: TestGateway;
let secure: TestGateway;
let haproxy: Haproxy;
let ports: number[];

beforeAll(async () => {
  certificate = makeCertificate();
  upstream = await WireUpstream.start();
  plain = await startBehind(poolOf([upstream.url]), { mode: 'require' });
  secure = await startBehind(poolOf([upstream.url]), { mode: 'require', tls: certificate });
  ports = await Promise.all(SENDERS.map(freePort));
  const links = SENDERS.map(
    ([way, isSecure], index) => `listen l${index}
bind 127.0.0.1:${ports[index]}
server gateway 127.0.0.1:${(isSecure ? secure : plain).port} ${way} check${isSecure ? ' check-ssl verify none' : ''} inter 100ms
`,
  );
  haproxy = await startHaproxy(
    `defaults
mode tcp
timeout client 20s
timeout server 20s
timeout connect 5s
timeout check 5s
option httpchk
http-check send meth GET uri /health ver HTTP/1.1 hdr Host ici.example
http-check expect status 200
${links.join('')}`,
    ports,
  );
});
afterAll(async () => {
  await haproxy.close();
  await plain.close();
  await secure.close();
  await upstream.close();
  certificate.remove();
});

test.each(SENDERS.map(([way, isSecure], index) => ({ way, over: isSecure ? 'TLS' : 'TCP', index })))(
  'with $way over $over, the gateway sees the client’s own address',
  async ({ over, index }) => {
    for (const from of ['127.0.0.3', '127.0.0.4']) {
      const through = await openFrom(from, ports[index] as number);
      const client = over === 'TLS' ? await secured(through, certificate) : through;
      client.send(REQUEST + REQUEST);
      await client.responses(2);
      client.leave();
      expect(upstream.requests.map((request) => request.get('x-forwarded-for'))).toEqual([from, from]);
      upstream.requests.length = 0;
    }
  },
);

test('health checks of haproxy do not count as clients and leave no log lines', async () => {
  for (const gateway of [plain, secure]) {
    await eventually(async () => expect((await proxyOutcomes(gateway))['unnamed']).toBeGreaterThan(5));
    await eventually(() =>
      expect(gateway.requests()).toContainEqual(
        expect.objectContaining({ client: BALANCER, path: '/health', status: 200 }),
      ),
    );
    expect(gateway.log.filter(({ level }) => level > 30)).toEqual([]);
  }
});
