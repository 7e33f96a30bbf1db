/** Resolves after `ms`; at once if that is not above 0. */
export async function pause(ms: number): Promise<void> {
  if (ms <= 0) return;
  await new Promise<void>((done) => {
    setTimeout(done, ms);
  });
}
