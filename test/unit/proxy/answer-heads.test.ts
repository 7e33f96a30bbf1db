import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AnswerHeads } from '../../../src/proxy/headers.ts';

/** What undici gets of a connection whose bytes arrive in these pieces. */
function read(pieces: readonly string[], heads = new AnswerHeads(1_000)): string {
  return pieces.map((piece) => heads.take(Buffer.from(piece, 'latin1')).toString('latin1')).join('');
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\nDate : x\r\n\r\n';
const EARLY = 'HTTP/1.1 103 Early Hints\r\nLink : </a>\r\n\r\n';
const ODD = 'HTTP/1.1 200 OK\r\nA : 1 : 2\r\nB\t \t:x\r\n\r\nbody : HTTP/1.1 100 x\r\n\r\n';
const CORRECTED = 'HTTP/1.1 200 OK\r\nA: 1 : 2\r\nB:x\r\n\r\nbody : HTTP/1.1 100 x\r\n\r\n';

describe('the heads of answers', () => {
  test('are corrected, and bodies are not, wherever the bytes are cut', () => {
    const whole = CONTINUE + EARLY + CONTINUE + ODD;
    const cuts = fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, (at) => {
        const ends = [0, ...at.sort((a, b) => a - b), whole.length];
        const pieces = ends.slice(1).map((end, i) => whole.slice(ends[i], end));
        expect(read(pieces)).toBe(EARLY.replace(' :', ':') + CORRECTED);
      }),
    );
  });

  test.each([
    'SSH-2.0-OpenSSH',
    'HTTP/2.0 100 x',
    'HTTP/1.1 200 OK\r\n : x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nA: 1\r\n : folded\r\n\r\n',
    `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(1_001)}`,
    'HTTP/1.1 200 OK\nA: 1\n\nx',
  ])('are left alone where undici refuses them: %s', (text) => {
    expect(read([text])).toBe(text);
  });

  test('are expected again when the next request is sent', () => {
    const heads = new AnswerHeads(1_000);
    const answer = 'HTTP/1.1 204 x\r\n\r\n';
    expect(read([answer, CONTINUE], heads)).toBe(answer + CONTINUE);
    heads.expect();
    expect(read([CONTINUE, answer], heads)).toBe(answer);
  });
});
