import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { WatchedFile } from '../../../src/wiring/watched-file.ts';

test('the last good content counts until the file is valid again, and both are told', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-watched-'));
  let now = 1_000;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
  try {
    const path = join(directory, 'file');
    const told: string[] = [];
    writeFileSync(path, 'one');
    const read = (): string => {
      const text = readFileSync(path, 'utf8');
      if (text.startsWith('bad')) throw new Error(text);
      return text;
    };
    const file = new WatchedFile(
      path,
      read,
      ({ message }) => told.push(message),
      () => told.push('repaired'),
    );
    const after = (text: string): string => {
      writeFileSync(path, text);
      now += 1_000;
      return file.content;
    };
    expect([after('bad 1'), after('bad number 2'), after('good'), after('better')]).toEqual([
      'one',
      'one',
      'good',
      'better',
    ]);
    expect(told).toEqual(['bad 1', 'bad number 2', 'repaired']);
  } finally {
    clock.mockRestore();
    rmSync(directory, { recursive: true });
  }
});
