import { expect, test } from 'vitest';
import { BodySearch } from '../../../src/soap/body-search.ts';
import { ElementLister } from '../../../src/soap/element-lister.ts';

const search = new BodySearch([], { maxBytes: 4_096, maxDepth: 0 }, new ElementLister());
const listed = async (inBody: string, before = '') =>
  (
    await search.search(
      Buffer.from(
        `${before}<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${inBody}</s:Body></s:Envelope>`,
      ),
      { contentType: 'text/xml' },
      true,
    )
  ).elements;

test('the elements that hold text are listed by their local names, and no value is', async () => {
  const body =
    '<n:logOn><n:agentLogin a="x > y">MILLER</n:agentLogin><password><![CDATA[secret<b>no</b>]]></password>' +
    '<empty/><blank> </blank><!-- <hidden>1</hidden> --><deep><agentLogin>1</agentLogin><id>&lt;7</id></deep></n:logOn>';
  const names = await listed(body, '<?xml version="1.0"?><!-- <first>1</first> -->');
  expect(names).toEqual(['agentLogin', 'password', 'id']);
  expect(JSON.stringify(names)).not.toMatch(/MILLER|secret/);
});

test('what is broken or cut off ends the list, and a list has at most 40 short names', async () => {
  expect(await listed('<a>1</a><b>2</b><1c>3</1c><d>4</d>')).toEqual(['a', 'b']);
  expect(await listed(`<${'x'.repeat(65)}>1</${'x'.repeat(65)}><y>1</y>`)).toEqual(['y']);
  const many = Array.from({ length: 100 }, (_, i) => `<e${i}>1</e${i}>`).join('');
  expect(await listed(many)).toHaveLength(40);
  expect(await listed(`<a>1</a>${'<b>2'.repeat(2_000)}`)).toEqual(['a']);
});
