/** What one controller and the processes that had ended counted, as it sums it. Kept by the workers for the next one. */
export interface Totals {
  /** Who summed: workers give back to a controller also what it has told them itself. */
  readonly by: string;
  /** As prom-client has it. */
  readonly counted: readonly unknown[];
}
