import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { Writable } from 'node:stream';
import { formatPasswordLine, isUserName } from '../core/password-record.ts';
import type { Role } from '../core/role.ts';
import { hashPassword } from '../passwords/password.ts';
import type { Output } from './output.ts';

/** The input from which a password is read. */
export type PasswordInput = Readable & { readonly isTTY?: boolean };

// A longer text is hardly a password, and the gateway accepts Basic credentials up to about this length.
const MOST_LETTERS = 500;

/**
 * Prints a line for `admin.passwordFile`, or without a role for `sapcontrol.passwordFile`. The password is read from standard
 * input: its first line, or on a terminal twice and without echo. It is never an
 * argument, because every user of the host can see arguments.
 */
export async function runHashPassword(
  user: string,
  role: Role | undefined,
  input: PasswordInput,
  output: Output,
): Promise<void> {
  if (!isUserName(user.normalize('NFC')))
    throw new Error(
      'the user name must not contain a colon, begin or end with white space, or begin with "#"',
    );
  const lines = new Lines(input);
  try {
    const password = await ask(lines, input, output);
    if (password === '')
      throw new Error('the password is empty; type one, or pipe it in as the first line of standard input');
    if (password.length > MOST_LETTERS)
      throw new Error(`the password is longer than ${MOST_LETTERS} letters`);
    if (/\p{Cc}/u.test(password))
      throw new Error('a password must not contain control characters (RFC 7617 §2)');
    const record = await hashPassword(user.normalize('NFC'), password, { role });
    output.out(`${formatPasswordLine(record)}\n`);
  } finally {
    lines.close();
  }
}

async function ask(lines: Lines, { isTTY }: PasswordInput, output: Output): Promise<string> {
  if (isTTY !== true) return (await lines.next()) ?? '';
  const typed: string[] = [];
  for (const prompt of ['Password: ', 'Again: ']) {
    output.err(prompt);
    const line = await lines.next();
    output.err('\n');
    if (line === undefined) throw new Error('no password was typed');
    typed.push(line);
  }
  if (typed[0] !== typed[1]) throw new Error('the two passwords differ; try again');
  return typed[0] ?? '';
}

/** The lines of an input, without echo on a terminal. */
class Lines {
  readonly #interface;
  readonly #lines: AsyncIterator<string>;

  constructor(input: PasswordInput) {
    // On a terminal readline echoes the typed text; this output discards it.
    const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
    this.#interface = createInterface({ input, output: nowhere, terminal: input.isTTY === true });
    this.#interface.once('SIGINT', () => this.#interface.close());
    this.#lines = this.#interface[Symbol.asyncIterator]();
  }

  /** `undefined` at the end of the input, and after Ctrl-C. */
  async next(): Promise<string | undefined> {
    const { done, value } = await this.#lines.next();
    return done === true ? undefined : value;
  }

  close(): void {
    this.#interface.close();
  }
}
