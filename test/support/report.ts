/** Prints a measured figure of a test, next to its verdict. */
export function report(figure: string): void {
  process.stdout.write(`measured: ${figure}\n`);
}
