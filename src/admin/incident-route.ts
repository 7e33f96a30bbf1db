import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ActRefused } from '../core/act-refused.ts';
import { FewAtOnce } from '../core/few-at-once.ts';
import type { IncidentOptions } from './incident.ts';
import { incidentFiles } from './incident.ts';
import { momentOf } from './moments.ts';
import type { AdminRoutes } from './route.ts';
import { INCIDENT, INCIDENT_QUERY } from './schemas/incident.ts';
import { refusal } from './schemas/refusals.ts';

const LAST = '15m';
const LONGEST_MS = 24 * 3_600_000;
const READABLE_BY_OWNER = 0o600;

/** One file for those who help: the state of this gateway and of the group, as far as this gateway knows it. */
export function addIncidentRoute(routes: AdminRoutes, options: IncidentOptions): void {
  const archives = new FewAtOnce('archives are made');
  routes.get(
    '/incident',
    {
      // A HEAD request would make an archive that is never read.
      exposeHeadRoute: false,
      schema: {
        summary:
          'an archive for an analysis of what went wrong, without secrets; its README.txt names the fault',
        tags: ['status'],
        querystring: INCIDENT_QUERY,
        response: {
          200: INCIDENT,
          400: refusal('a parameter is wrong'),
          429: refusal('too many archives are made at once'),
        },
      },
      config: { role: 'operator' },
    },
    async ({ query: { last = LAST, names = 'hashed' } }, reply) => {
      const to = Date.now();
      const from = momentOf(last, to, -1, options.readers);
      if (!(from < to && to - from <= LONGEST_MS))
        throw new ActRefused(400, 'last must be a duration such as 15m, of at most 24h');
      const archive = await archives.run(async () => {
        const files = await incidentFiles(options, { from, to, isHashed: names === 'hashed' });
        return pack(files, new Date(to));
      });
      return reply
        .type('application/gzip')
        .header('cache-control', 'no-store')
        .header('content-disposition', `attachment; filename="${nameOf(to)}"`)
        .send(archive as unknown as string);
    },
  );
}

/** Such as `incident-20260301T220000Z.tar.gz`. */
function nameOf(at: number): string {
  return `incident-${new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.tar.gz`;
}

async function pack(files: ReadonlyMap<string, string>, mtime: Date): Promise<Buffer> {
  // Loaded on use: most gateways never make an archive.
  const { packTar } = await import('modern-tar');
  const entries = [...files].map(([name, text]) => {
    const body = Buffer.from(text);
    return {
      header: { name, size: body.length, mode: READABLE_BY_OWNER, mtime, type: 'file' as const },
      body,
    };
  });
  return promisify(gzip)(await packTar(entries));
}
