import { LRUCache } from 'lru-cache';

const GROWTH = 8;

/**
 * The cache, or a larger one with the same entries in the same order if it is full and may grow. A cache takes the memory
 * for all its entries when it is made.
 */
export function withRoom<V extends object>(cache: LRUCache<string, V>, most: number): LRUCache<string, V> {
  const { max, size, dispose } = cache;
  if (size < max || max >= most) return cache;
  const larger = new LRUCache<string, V>({
    max: Math.min(max * GROWTH, most),
    ...(dispose === undefined ? {} : { dispose }),
  });
  larger.load(cache.dump());
  return larger;
}
