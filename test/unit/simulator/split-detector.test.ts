import { describe, expect, test } from 'vitest';
import { SplitDetector } from '../../../src/simulator/split-detector.ts';

const A = { connector: 'a', incarnation: '1' };
const A_RESTARTED = { connector: 'a', incarnation: '2' };
const B = { connector: 'b', incarnation: '1' };

/** A clock that only moves forward: each answer belongs to a request sent just before it. */
function scenario() {
  const detector = new SplitDetector();
  let now = 0;
  return {
    detector,
    answer: (agent: string, by: typeof A) => {
      now += 2;
      return detector.answered(agent, by, now - 1, now);
    },
  };
}

describe('a split', () => {
  test('is proven when an agent was moved away from a connector that still answers the agent', () => {
    const { detector, answer } = scenario();
    detector.loggingOn('U1');
    expect(answer('U1', A)).toEqual([]);
    expect(answer('U1', B)).toEqual([]);
    expect(answer('U1', A)).toEqual([{ agent: 'U1', first: A, second: B }]);
  });

  test('is proven when the connector that was left still answers any other agent', () => {
    const { detector, answer } = scenario();
    detector.loggingOn('U1');
    detector.loggingOn('U2');
    answer('U2', A);
    answer('U1', A);
    answer('U1', B);
    expect(answer('U2', A)).toEqual([{ agent: 'U1', first: A, second: B }]);
  });

  test('counts once per logon, however often the agent goes back and forth', () => {
    const { detector, answer } = scenario();
    detector.loggingOn('U1');
    const splits = [A, B, A, B, A, B, A].flatMap((place) => answer('U1', place));
    expect(splits).toHaveLength(1);
  });

  test('counts again in the next logon', () => {
    const { detector, answer } = scenario();
    let splits = 0;
    for (let logon = 0; logon < 2; logon += 1) {
      detector.loggingOn('U1');
      for (const place of [A, B, A]) splits += answer('U1', place).length;
    }
    expect(splits).toBe(2);
  });

  test('of two simultaneous requests is proven by any later answer of the first connector', () => {
    const detector = new SplitDetector();
    detector.loggingOn('U1');
    detector.answered('U1', A, 0, 10);
    detector.answered('U1', B, 0, 11);
    expect(detector.undecided).toBe(1);
    expect(detector.answered('U2', A, 12, 13)).toHaveLength(1);
    expect(detector.undecided).toBe(0);
  });
});

describe('no split', () => {
  test('is reported if the connector that was left never answers again', () => {
    const { detector, answer } = scenario();
    detector.loggingOn('U1');
    answer('U1', A);
    answer('U1', B);
    expect(answer('U1', B)).toEqual([]);
    expect(detector.undecided).toBe(1);
  });

  test('is reported if the connector that was left answers again in another incarnation', () => {
    const { detector, answer } = scenario();
    detector.loggingOn('U1');
    answer('U1', A);
    answer('U1', B);
    expect(answer('U2', A_RESTARTED)).toEqual([]);
  });

  test('is reported if the agent got the order to log on again', () => {
    const { detector, answer } = scenario();
    detector.loggingOn('U1');
    answer('U1', A);
    answer('U1', B);
    detector.told('U1');
    expect(answer('U2', A)).toEqual([]);
    expect(detector.undecided).toBe(0);
  });

  test('is reported for an answer after the move to a request before it', () => {
    const detector = new SplitDetector();
    detector.loggingOn('U1');
    detector.answered('U1', A, 0, 10);
    detector.answered('U1', B, 20, 30);
    expect(detector.answered('U1', A, 15, 40)).toEqual([]);
    expect(detector.placeOf('U1')).toEqual(B);
  });
});
