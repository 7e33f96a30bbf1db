/** The default of `affinity.redis.commandTimeout`. A store that is silent for this long is in doubt, whatever is configured. */
export const COMMAND_MS = 100;
