import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readDocument } from '../../support/documents.ts';

/** Checks the statements in the files for containers. */

const DOCKERFILE = readDocument('deploy/Dockerfile');

test('images are named by their digest, and run the Node that is maintained', () => {
  const bases = Array.from(DOCKERFILE.matchAll(/^FROM (\S+)/gm), ([, image]) => image);
  expect(bases).toHaveLength(2);
  for (const image of bases) expect(image).toMatch(/^node:24\.\d+\.\d+-\S+@sha256:[0-9a-f]{64}$/);
  expect(parse(readDocument('docker-compose.yml')).services.redis.image).toMatch(/@sha256:[0-9a-f]{64}$/);
});

test('the image has the labels of the OCI', () => {
  const labels = Array.from(
    DOCKERFILE.matchAll(/org\.opencontainers\.image\.([\w.]+)=/g),
    ([, name]) => name,
  );
  expect(labels).toEqual(['title', 'description', 'version', 'revision', 'base.name']);
});

test.each([
  [200, 0],
  [503, 1],
  [undefined, 1],
])('the health check of the image ends, where /livez answers %s, with %d', async (status, code) => {
  const paths: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    paths.push(`${request.headers.host} ${request.url}`);
    response.writeHead(status ?? 500).end('x');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  if (status === undefined) await new Promise((resolve) => server.close(resolve));
  const [, words = '[]'] = /^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$/m.exec(DOCKERFILE) ?? [];
  const [program = '', ...args] = JSON.parse(words) as string[];
  expect(program).not.toBe('node');
  const env = { PATH: process.env['PATH'], HEALTH_PORT: String(port), HEALTH_PATH: '/livez' };
  const check = spawn(program, args, { env, stdio: 'ignore' });
  expect(await once(check, 'exit')).toEqual([code, null]);
  expect(paths).toEqual(status === undefined ? [] : ['127.0.0.1 /livez']);
  server.close();
});

test('the base of Kustomize has the manifest, and its monitor finds the pods under the job of the alerts', () => {
  const { resources } = parse(readDocument('deploy/kubernetes/kustomization.yaml'));
  const documents = resources.flatMap((file: string) =>
    parseAllDocuments(readDocument(`deploy/kubernetes/${file}`)).map((document) => document.toJS()),
  );
  const one = (kind: string) => documents.find((document: { kind: string }) => document.kind === kind);
  const { selector, jobLabel, podMetricsEndpoints } = one('PodMonitor').spec;
  const { labels } = one('Deployment').spec.template.metadata;
  expect(labels).toMatchObject(selector.matchLabels);
  expect(readDocument('deploy/prometheus/alerts.yaml')).toContain(`job=~"(.*/)?${labels[jobLabel]}"`);
  const { ports } = one('Deployment').spec.template.spec.containers[0];
  expect(ports.map(({ name }: { name: string }) => name)).toContain(podMetricsEndpoints[0].port);
});
