// Finds words that plain English does without, in the given folders and files. `npm run check` runs it without arguments.
// A line may keep such a word if .ci/words-accepted.json says why.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const PLACES =
  process.argv.length > 2 ? process.argv.slice(2) : ['src', 'test', 'deploy', 'README.md', 'CONTRIBUTING.md'];

// A process, a request and an instance are "it", an agent is "the agent" or "they".
const PRONOUNS = ['he', 'him', 'his', 'whoever', 'whom', 'nobody', 'somebody'];
const DATED = ['anew', 'lest'];
// Private names for what has a standard term, see the glossary in src/README.md.
const PRIVATE = ['roster', 'household', 'farewell', 'succession', 'ballot', 'bulletin', 'storedesk'];

const WORDS = new RegExp(`(?<![a-z])(?:${[...PRONOUNS, ...DATED, ...PRIVATE].join('|')})(?![a-z])`, 'gi');

/** `{ path, text, reason }`: lines of the file, or of files under a folder ending in `/`, that contain the text. */
const accepted = JSON.parse(readFileSync(new URL('words-accepted.json', import.meta.url), 'utf8'));
const used = new Set();

const files = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...PLACES],
  {
    encoding: 'utf8',
  },
);
const problems = files.trimEnd().split('\n').flatMap(problemsOf);
const isWhole = process.argv.length === 2;
for (const exception of accepted) {
  if (isWhole && !used.has(exception))
    problems.push(`.ci/words-accepted.json: no line needs ${JSON.stringify(exception)}; remove it`);
}
if (problems.length > 0) {
  const advice = `${problems.length} problems. Say it in other words, or accept the line in .ci/words-accepted.json.`;
  process.stderr.write(`${[...problems, '', advice].join('\n')}\n`);
  process.exitCode = 1;
}

function problemsOf(path) {
  return contentOf(path)
    .split('\n')
    .flatMap((line, index) => {
      const found = wordsIn(line);
      const open = found.length === 0 || isAccepted(path, line) ? [] : found;
      return open.map((word) => `${path}:${index + 1}: "${word}" in: ${line.trim().slice(0, 150)}`);
    });
}

/** Nothing of a picture, whose bytes are no words. A file that is deleted and not committed yet is listed too. */
function contentOf(path) {
  try {
    return path.endsWith('.png') ? '' : readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Also those inside names, such as `fromRoster`. */
function wordsIn(line) {
  return line.replace(/([a-z0-9])([A-Z])/g, '$1 $2').match(WORDS) ?? [];
}

function isAccepted(path, line) {
  const exceptions = accepted.filter(
    (one) =>
      (one.path.endsWith('/') ? path.startsWith(one.path) : path === one.path) && line.includes(one.text),
  );
  for (const exception of exceptions) used.add(exception);
  return exceptions.length > 0;
}
