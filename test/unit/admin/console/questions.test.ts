import { expect, test } from 'vitest';
import { explainBody, whatIfBody } from '../../../../src/admin/console/logic/questions.ts';

test('a whole request is asked about before a user, and nothing is asked without either', () => {
  const request = 'GET / HTTP/1.1\n\n';
  expect(explainBody({ user: ' MILLER ', request: ' ', from: '' })).toEqual({ user: 'MILLER' });
  expect(explainBody({ user: 'MILLER', request, from: ' 10.0.0.1 ' })).toEqual({ request, from: '10.0.0.1' });
  expect(explainBody({ user: ' ', request: '', from: '10.0.0.1' })).toBeUndefined();
});

test('a change is asked about when it has all that it needs', () => {
  const none = { instance: '', weight: '', gateway: '' };
  expect(whatIfBody({ ...none, change: 'store-goes' })).toEqual({ change: 'store-goes' });
  expect(whatIfBody({ ...none, change: 'drain' })).toBeUndefined();
  expect(whatIfBody({ ...none, change: 'drain', instance: 'a' })).toEqual({ change: 'drain', instance: 'a' });
  expect(whatIfBody({ ...none, change: 'weight', instance: 'a' })).toBeUndefined();
  expect(whatIfBody({ ...none, change: 'weight', instance: 'a', weight: 'x' })).toBeUndefined();
  expect(whatIfBody({ ...none, change: 'weight', instance: 'a', weight: '0' })).toMatchObject({ weight: 0 });
  expect(whatIfBody({ ...none, change: 'gateway-goes', gateway: 'g' })).toEqual({
    change: 'gateway-goes',
    gateway: 'g',
  });
});
