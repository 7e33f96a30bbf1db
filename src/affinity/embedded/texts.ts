import type { Database } from 'lmdb';
import type { SharedTexts } from './packing.ts';

/** Texts with their numbers. */
class NumberedTexts {
  readonly #table: Database<string, number>;
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];

  constructor(table: Database<string, number>) {
    this.#table = table;
    this.read();
  }

  read(): void {
    this.#numbers.clear();
    this.#texts.length = 0;
    for (const { key, value } of this.#table.getRange({})) this.#learn(key, value);
  }

  numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#texts.length;
    this.#table.putSync(number, text);
    this.#learn(number, text);
    return number;
  }

  textOf(number: number): string {
    const text = this.#texts[number];
    if (text === undefined)
      throw new Error(`the embedded store refers to text ${number}, which it does not have`);
    return text;
  }

  #learn(number: number, text: string): void {
    this.#numbers.set(text, number);
    this.#texts[number] = text;
  }
}

/** Grows by one placement for each incarnation of an instance, and by a few reasons for each start of the gateway. */
export class TextTables implements SharedTexts {
  readonly #placements: NumberedTexts;
  readonly #reasons: NumberedTexts;

  constructor(placements: Database<string, number>, reasons: Database<string, number>) {
    this.#placements = new NumberedTexts(placements);
    this.#reasons = new NumberedTexts(reasons);
  }

  read(): void {
    this.#placements.read();
    this.#reasons.read();
  }

  numberOf(instance: string, incarnation: string): number {
    return this.#placements.numberOf(`${instance}|${incarnation}`);
  }

  placementOf(number: number): { instance: string; incarnation: string } {
    const text = this.#placements.textOf(number);
    const bar = text.indexOf('|');
    return { instance: text.slice(0, bar), incarnation: text.slice(bar + 1) };
  }

  numberOfReason(reason: string): number {
    return this.#reasons.numberOf(reason);
  }

  reasonOf(number: number): string {
    return this.#reasons.textOf(number);
  }
}
