import { canonicalUser } from '../../src/core/user-name.ts';
import type { Posted } from './envelopes.ts';
import { ask } from './request.ts';
import type { Site } from './site.ts';
import { settled } from './site.ts';
import { readEnvelope } from './xml-oracle.ts';

/** Posts the message, and fails unless the gateway finds the user that a strict parser finds in it. */
export async function checkUser(site: Site, posted: Posted): Promise<void> {
  const { contentType, contentEncoding, body, document, isDoubtful } = posted;
  await site.begin();
  const encoding = contentEncoding === undefined ? {} : { 'content-encoding': contentEncoding };
  const { status } = await ask(
    site.gateway.url,
    'POST',
    '/ici',
    { 'content-type': contentType, ...encoding },
    body,
  );
  await settled(() => (site.gateway.requests().length === 1 ? undefined : 'not logged'));
  site.expectUnharmed();
  if (status !== 200) throw new Error(`answered ${status}`);

  const [line] = site.gateway.requests();
  // A session alone leads to the user of its binding.
  const hasSession = line?.['session'] !== undefined;
  const found = hasSession ? undefined : line?.['user'];
  const { fault, user, isBest, refers } = readEnvelope(document);
  const expected = user === undefined ? undefined : canonicalUser(user);
  if (found === expected || hasSession || refers) return;
  // Who cannot read a message need not find a user in it. Behind what is malformed a strict parser finds none, and the
  // instance refuses the message.
  const isUnreadable = isDoubtful || fault !== undefined || document.includes('\ufffd');
  if (isUnreadable && (found === undefined || !isBest)) return;
  throw new Error(
    `${JSON.stringify(expected)} is taken for ${JSON.stringify(found)}, fault ${fault}, in ${document}`,
  );
}
