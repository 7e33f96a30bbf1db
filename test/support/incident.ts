import { gunzipSync } from 'node:zlib';
import { unpackTar } from 'modern-tar';
import { TOKEN } from './operator.ts';

/** The files of an incident archive by their names. */
export async function filesOf(archive: Buffer): Promise<Map<string, string>> {
  const entries = await unpackTar(gunzipSync(archive));
  return new Map(entries.map(({ header, data }) => [header.name, new TextDecoder().decode(data)]));
}

/** Asks a gateway for an archive. */
export async function readIncident(
  adminUrl: string,
  query = '',
  token = TOKEN,
): Promise<Map<string, string>> {
  const response = await fetch(`${adminUrl}/incident${query}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (!response.ok) throw new Error(`/incident answered ${response.status}: ${await response.text()}`);
  return filesOf(Buffer.from(await response.arrayBuffer()));
}

/** What the first page says is wrong, the worst first. */
export function findingsIn(files: ReadonlyMap<string, string>): string[] {
  const [head = ''] = (files.get('README.txt') ?? '').split('\n\nALARMS');
  return head.split('\n').flatMap((line) => /^(?:THE FAULT:|\*) (.*)/.exec(line)?.[1] ?? []);
}
