import { RE2JS } from 're2js';

/** A regular expression that an operator gave. */
export interface Pattern {
  test(text: string): boolean;
  /** The match and its groups. */
  exec(text: string): readonly (string | undefined)[] | null;
}

// Steps of the compiled pattern. Time grows with steps times the length of the text, and counted repetitions
// multiply the steps: at 500 the worst known pattern takes about a second for a page of 64 KB.
const MAX_STEPS = 500;

// \s and its opposite as in JavaScript; in RE2 they cover only ASCII white space.
const SPACE =
  '\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}';
const NO_SPACE =
  '\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}' +
  '\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}';
const NO_LINE_END = '[^\\n\\r\\x{2028}\\x{2029}]';

/** Syntax that RE2 refuses or interprets differently from JavaScript, and the ends of classes. */
const DIFFERING = /\\u\{([0-9A-Fa-f]+)\}|\\u([0-9A-Fa-f]{4})|\\.|\[\^?\]|[[\].]|\(\?(?:<?[=!]|(?![:<]))/gsu;

/**
 * Compiles a pattern of an operator. It runs without backtracking (RE2), so that
 * no pattern and no text can hang the process: time grows linearly with the length of the text.
 *
 * Patterns have their JavaScript meaning, because earlier releases interpret them so: gateways that find
 * different incarnations on the same page would disagree about the instance.
 *
 * @throws Error whose message completes a sentence that begins with the name of the option
 */
export function compilePattern(text: string, { ignoresCase = false } = {}): Pattern {
  const compiled = compile(text, ignoresCase ? RE2JS.CASE_INSENSITIVE : 0);
  const steps = compiled.programSize();
  if (steps <= MAX_STEPS) return compiled;
  throw new Error(
    `takes ${steps} steps, but at most ${MAX_STEPS} are allowed; use smaller counts, because counts such as {1,100} multiply`,
  );
}

/** How many capture groups a valid pattern has. */
export function countGroups(text: string): number {
  return compile(text).groupCount();
}

function compile(text: string, flags = 0): RE2JS {
  try {
    new RegExp(text, 'u');
  } catch (error) {
    throw invalid((error as Error).message);
  }
  const translated = translate(text);
  try {
    return RE2JS.compile(translated, flags);
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
        `"${token}" refers back to a group, which needs backtracking; write the text of the group instead`,
      );
    }
    if (/^\(\?<?[=!]/.test(token)) {
      throw invalid(
        `"${token}" looks around, which needs backtracking; match the text around it as well, or use health.bodyRejects for text that must be absent`,
      );
    }
    if (token.startsWith('(?'))
      throw invalid(`"${token}" with flags is not supported; write (?:…), (?<name>…) or (…)`);
    return token;
  });
}

function invalid(reason: string): Error {
  return new Error(`is not a valid regular expression: ${reason}`);
}
