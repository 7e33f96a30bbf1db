/** The part of stdout that is used here; stdout may be a terminal or not. */
export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export type Colour = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

const CODES: Readonly<Record<Colour, string>> = {
  red: '31',
  green: '32',
  yellow: '33',
  dim: '2',
  bold: '1',
};

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';

/**
 * Permanent lines and, on a terminal, a block below them that is redrawn in place.
 * Without a terminal it writes only the permanent lines, without colours.
 */
export class LiveScreen {
  readonly live: boolean;
  readonly #colours: boolean;
  readonly #output: Output;
  #block: readonly string[] = [];
  #opened = false;
  readonly #restore = (): void => this.close();

  /** Colours follow the NO_COLOR convention (no-color.org): any value that is not empty turns them off. */
  constructor(output: Output, environment: Readonly<Record<string, string | undefined>> = process.env) {
    this.#output = output;
    this.live = output.isTTY === true;
    this.#colours = this.live && (environment['NO_COLOR'] ?? '') === '';
  }

  paint(colour: Colour, text: string): string {
    return this.#colours ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
  }

  /** Writes a permanent line above the block. */
  line(text: string): void {
    const block = this.#block;
    this.#erase();
    this.#output.write(`${text}\n`);
    if (block.length > 0) this.frame(block);
  }

  /** Redraws the block. Does nothing without a terminal. */
  frame(lines: readonly string[]): void {
    if (!this.live) return;
    if (!this.#opened) {
      this.#opened = true;
      process.once('exit', this.#restore);
      this.#output.write(HIDE_CURSOR + NO_WRAP);
    }
    this.#erase();
    this.#output.write(lines.map((line) => `${line}\n`).join(''));
    this.#block = lines;
  }

  /** Removes the block and restores the terminal. */
  close(): void {
    this.#erase();
    if (!this.#opened) return;
    this.#opened = false;
    process.off('exit', this.#restore);
    this.#output.write(WRAP + SHOW_CURSOR);
  }

  #erase(): void {
    if (this.#block.length > 0) this.#output.write(`\u001b[${this.#block.length}A\u001b[J`);
    this.#block = [];
  }
}
