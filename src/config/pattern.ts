import { RE2JS } from 're2js';

/** A regular expression that an operator gave. */
export interface Pattern {
  test(text: string): boolean;
  /** The match and its groups. */
  exec(text: string): readonly (string | undefined)[] | null;
}

// In steps of the compiled pattern. Time grows with their number times the length of the text, and counted repetitions
// multiply them: at 500 the worst known pattern takes about a second for a page of 64 KB.
const MAX_STEPS = 500;

// What JavaScript means by \s and by its opposite; RE2 alone means white space of ASCII.
const SPACE =
  '\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
const NO_SPACE =
  '\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}' +
  '\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}';
const NO_LINE_END = '[^\\n\\r\\x{2028}\\x{2029}]';

/** All that RE2 refuses or reads in another way than JavaScript, and the ends of classes. */
const DIFFERING = /\\u\{([0-9A-Fa-f]+)\}|\\u([0-9A-Fa-f]{4})|\\.|\[\^?\]|[[\].]|\(\?(?:<?[=!]|(?![:<]))/gsu;

/**
 * The one way in which patterns of operators become regular expressions. They run without backtracking (RE2), so that
 * no pattern and no text can hang the process: time grows with the length of the text, never exponentially.
 *
 * Patterns mean what they mean in JavaScript, because gateways of earlier releases read them so: two that find
 * different incarnations on one page would disagree about it.
 *
 * @throws Error whose message completes a sentence that begins with the name of the option
 */
export function compilePattern(text: string): Pattern {
  const compiled = compile(text);
  const steps = compiled.programSize();
  if (steps <= MAX_STEPS) return compiled;
  throw new Error(
    `takes ${steps} steps, and at most ${MAX_STEPS} are allowed; repeat less often, since counts such as {1,100} multiply`,
  );
}

/** How many capture groups a valid pattern has. */
export function countGroups(text: string): number {
  return compile(text).groupCount();
}

function compile(text: string): RE2JS {
  try {
    new RegExp(text, 'u');
  } catch (error) {
    throw invalid((error as Error).message);
  }
  const translated = translate(text);
  try {
    return RE2JS.compile(translated);
  } catch (error) {
    throw invalid(`${(error as Error).message}; patterns follow the syntax of RE2`);
  }
}

function translate(text: string): string {
  let isInClass = false;
  return text.replace(DIFFERING, (token, point: string | undefined, unit: string | undefined) => {
    if (point !== undefined) return `\\x{${point}}`;
    // A surrogate is half a character.
    if (unit !== undefined) return /^d[89a-f]/i.test(unit) ? token : `\\x{${unit}}`;
    if (isInClass) {
      if (token === ']') isInClass = false;
      if (token === '\\b') return '\\x08';
      if (token === '\\s') return SPACE;
      if (token === '\\S') return NO_SPACE;
      if (token.startsWith('[')) {
        isInClass = !token.endsWith(']');
        return `\\${token}`;
      }
      return token;
    }
    if (token === '.') return NO_LINE_END;
    if (token === '\\s') return `[${SPACE}]`;
    if (token === '\\S') return `[${NO_SPACE}]`;
    if (token === '[]') return '[^\\x00-\\x{10ffff}]';
    if (token === '[^]') return '[\\x00-\\x{10ffff}]';
    if (token === '[') isInClass = true;
    if (/^\\[1-9k]/.test(token)) {
      throw invalid(
        `"${token}" refers back to a group, which needs backtracking; write out what it stands for`,
      );
    }
    if (/^\(\?<?[=!]/.test(token)) {
      throw invalid(
        `"${token}" looks around, which needs backtracking; match the text beside it as well, or use health.bodyRejects for what must not be there`,
      );
    }
    if (token.startsWith('(?'))
      throw invalid(`"${token}" with flags is not supported; write (?:…), (?<name>…) or (…)`);
    return token;
  });
}

function invalid(reason: string): Error {
  return new Error(`is no valid regular expression: ${reason}`);
}
