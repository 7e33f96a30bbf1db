import { useEffect, useState } from 'preact/hooks';

/** A value that several parts of the page show. */
export class Store<Value> {
  #value: Value;
  readonly #listeners = new Set<() => void>();

  constructor(value: Value) {
    this.#value = value;
  }

  get value(): Value {
    return this.#value;
  }

  set(value: Value): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Returns a function that ends it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

/** The store's value; the component is drawn again when it changes. */
export function useStore<Value>(store: Store<Value>): Value {
  const [value, setValue] = useState(store.value);
  useEffect(() => {
    const read = (): void => setValue(() => store.value);
    // It may have changed between drawing and this effect.
    read();
    return store.subscribe(read);
  }, [store]);
  return value;
}

/** Something read from the store's value; the component is drawn again only when that changes. */
export function useSelected<Value, Part>(store: Store<Value>, select: (value: Value) => Part): Part {
  const [, redraw] = useState<Part>(() => select(store.value));
  useEffect(() => {
    const read = (): void => redraw(() => select(store.value));
    read();
    return store.subscribe(read);
  });
  return select(store.value);
}
