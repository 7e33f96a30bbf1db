/** Shows a figure that a test has measured, beside the verdict whether it is good enough. */
export function report(figure: string): void {
  process.stdout.write(`measured: ${figure}\n`);
}
