import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { PasswordInput } from '../../../src/cli/hash-password.ts';
import { runHashPassword } from '../../../src/cli/hash-password.ts';
import { formatPasswordLine, parsePasswordFile } from '../../../src/core/password-record.ts';
import type { Role } from '../../../src/core/role.ts';
import { hashPassword, isPasswordOf } from '../../../src/passwords/password.ts';
import { RecordedOutput } from '../../support/cli.ts';

const COST = { logN: 14, blockSize: 1, parallelization: 1 };
const SALT = 'c2FsdHNhbHRzYWx0c2FsdA';
const HASH = 'aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g';

describe('a line of the password file', () => {
  test('matches one password and no other', async () => {
    const made = await hashPassword('op', 'geheim', { cost: COST });
    const { records, problems } = parsePasswordFile(`# who may stop it\r\n\n${formatPasswordLine(made)}\r\n`);
    expect(problems).toEqual([]);
    const [record] = records;
    if (record === undefined) throw new Error('no record was read');
    expect(record.user).toBe('op');
    expect(await isPasswordOf(record, 'geheim')).toBe(true);
    for (const wrong of ['', 'Geheim', 'geheim ', 'geheim1'])
      expect(await isPasswordOf(record, wrong)).toBe(false);
  });

  test('matches a password however its accents are composed', async () => {
    const record = await hashPassword('op', 'mu\u0308ller', { cost: COST });
    expect(await isPasswordOf(record, 'm\u00fcller')).toBe(true);
  });

  test('is different each time', async () => {
    const lines = await Promise.all(
      ['x', 'x'].map(async (password) =>
        formatPasswordLine(await hashPassword('op', password, { cost: COST })),
      ),
    );
    expect(new Set(lines).size).toBe(2);
  });

  test.each([
    ['op:secret', 'is not user:$scrypt$'],
    [`:$scrypt$ln=15,r=8,p=3$${SALT}$${HASH}`, 'is not user:$scrypt$'],
    [`op:$scrypt$ln=15,r=8,p=3$${SALT}`, 'is not user:$scrypt$'],
    [`op:root:$scrypt$ln=15,r=8,p=3$${SALT}$${HASH}`, 'has a role other than viewer, operator, admin'],
    // The cost must be high enough for an attacker and low enough for the gateway.
    [`op:$scrypt$ln=13,r=8,p=1$${SALT}$${HASH}`, 'has a cost outside'],
    [`op:$scrypt$ln=18,r=8,p=1$${SALT}$${HASH}`, 'has a cost outside'],
    [`op:$scrypt$ln=17,r=9,p=1$${SALT}$${HASH}`, 'has a cost outside'],
    [`op:$scrypt$ln=17,r=8,p=5$${SALT}$${HASH}`, 'has a cost outside'],
    [`op:$scrypt$ln=17,r=0,p=1$${SALT}$${HASH}`, 'has a cost outside'],
  ])('%s is refused without quoting the line', (line, problem) => {
    const { records, problems } = parsePasswordFile(`\n${line}\n`);
    expect(records).toEqual([]);
    expect(problems).toEqual([expect.stringMatching(/^line 2 /)]);
    expect(problems[0]).toContain(problem);
    expect(problems[0]).not.toContain('secret');
  });

  test('is the only one of its user', () => {
    const line = `op:$scrypt$ln=14,r=1,p=1$${SALT}$${HASH}`;
    const { records, problems } = parsePasswordFile(`${line}\n${line}`);
    expect([records.length, problems]).toEqual([1, [expect.stringContaining('who has a line already')]]);
  });
});

describe('hash-password', () => {
  async function run(
    user: string,
    typed: string,
    isTTY: boolean,
    role?: Role,
  ): Promise<{ out: string; err: string }> {
    const output = new RecordedOutput();
    const input: PasswordInput = Object.assign(new PassThrough(), { isTTY });
    input.push(typed);
    input.push(null);
    await runHashPassword(user, role, input, output);
    return output.written;
  }

  async function checks(out: string, password: string): Promise<boolean> {
    const [record] = parsePasswordFile(out).records;
    return record !== undefined && isPasswordOf(record, password);
  }

  test('reads the first line of its input', async () => {
    const { out, err } = await run('op', 'geheim wort\nmore\n', false);
    expect(err).toBe('');
    expect(await checks(out, 'geheim wort')).toBe(true);
  });

  test('writes the role into the line', async () => {
    const { out } = await run('op', 'geheim', false, 'operator');
    expect(out).toMatch(/^op:operator:\$scrypt\$/);
    expect(parsePasswordFile(out).records).toMatchObject([{ user: 'op', role: 'operator' }]);
    expect(await checks(out, 'geheim')).toBe(true);
  });

  test('asks twice on a terminal, without echo', async () => {
    const { out, err } = await run('op', 'geheim\rgeheim\r', true);
    expect(err).toBe('Password: \nAgain: \n');
    expect(await checks(out, 'geheim')).toBe(true);
  });

  test.each([
    ['op', '', false, 'is empty'],
    ['op', '\n', false, 'is empty'],
    ['op', `${'x'.repeat(501)}\n`, false, 'longer than'],
    ['op', 'geheim\rgehein\r', true, 'differ'],
    ['op', 'geheim\r', true, 'no password was typed'],
    // Ctrl-C
    ['op', 'gehe\u0003', true, 'no password was typed'],
    ['op', 'geheim\0\n', false, 'control characters'],
    ['o:p', 'geheim\n', false, 'must not contain a colon'],
    [' op', 'geheim\n', false, 'white space'],
    ['#op', 'geheim\n', false, '"#"'],
  ])('for %j with %j on a terminal: %s names the problem', async (user, typed, isTTY, reason) => {
    await expect(run(user, typed, isTTY)).rejects.toThrow(reason);
  });
});
