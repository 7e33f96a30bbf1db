import type { Loaded, LoadInput } from '../../../src/config/load.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { ConfigInvalid, formatProblem } from '../../../src/config/problem.ts';

const HOME = { HOME: '/home/gateway' };

/** The shortest file there is. */
export const MINIMAL = `pools:
  - name: ici
    instances:
      - id: a
        url: http://10.0.0.1:8080
`;

export function load(text: string, input: Partial<LoadInput> = {}): Loaded {
  return loadConfig({
    file: '/etc/ici-gateway/gateway.yaml',
    text,
    ...input,
    env: { ...HOME, ...input.env },
  });
}

/** The problems of an invalid configuration as printed, without the directory. */
export function problemsOf(text: string, input: Partial<LoadInput> = {}): string[] {
  try {
    load(text, input);
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error;
    return error.problems.map(formatProblem).map((line) => line.replace('/etc/ici-gateway/', ''));
  }
  throw new Error('the configuration was accepted');
}

export function warningsOf(text: string, input: Partial<LoadInput> = {}): string[] {
  return load(text, input)
    .warnings.map(formatProblem)
    .map((line) => line.replace('/etc/ici-gateway/', ''));
}
