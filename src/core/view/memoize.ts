/** Computes `f` once for each pair of objects. The result is kept as long as both objects exist. */
export function memoizePair<A extends object, B extends object, R extends object>(
  f: (a: A, b: B) => R,
): (a: A, b: B) => R {
  const results = new WeakMap<A, WeakMap<B, R>>();
  return (a, b) => {
    const ofA = results.get(a) ?? new WeakMap<B, R>();
    results.set(a, ofA);
    const result = ofA.get(b) ?? f(a, b);
    ofA.set(b, result);
    return result;
  };
}
