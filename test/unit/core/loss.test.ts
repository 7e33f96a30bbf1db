import { expect, test } from 'vitest';
import { lossOf } from '../../../src/core/target.ts';
import { anInstance, aView } from '../../support/instances.ts';

test('an instance that an operator disabled, and that was then stopped, has lost its agents as disabled', () => {
  const patched = anInstance({ id: 'a', admin: 'disabled', health: 'down' });
  const crashed = anInstance({ id: 'b', health: 'down' });
  const view = aView(patched, crashed);
  expect(lossOf(view, { instance: 'a', incarnation: '' })).toBe('disabled');
  expect(lossOf(view, { instance: 'b', incarnation: '' })).toBe('down');
});
