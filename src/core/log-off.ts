/**
 * How exactly it is known which of two came first: a request at one gateway, or a log-off at another. The store compares
 * the two by its own clock, and so learns of each a little too late. A log-off that takes longer than this to reach the
 * store is undone.
 */
export const UNSURE_MS = 500;
