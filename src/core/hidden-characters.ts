// Characters that are not seen, or change how others are shown: format characters such as zero-width spaces and marks of
// direction, separators of lines, C1 control characters, and fillers.
const HIDDEN = /[\p{Cf}\p{Zl}\p{Zp}\u007f-\u009f\u115f\u1160\u3164\uffa0]/gu;

// Nearly no text has any.
const MAY_BE_HIDDEN = /[^\x20-\x7e\n]/;

/**
 * Writes hidden characters as `\u200b`, because two names that differ in them look alike, or text seems to say something
 * else. In JSON this is an escape, so the result has the same value.
 */
export function showHidden(text: string): string {
  return MAY_BE_HIDDEN.test(text) ? text.replace(HIDDEN, escapeUnits) : text;
}

function escapeUnits(character: string): string {
  return [...Array(character.length).keys()]
    .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
    .join('');
}
