/** What an embedded store means to operators who start a second gateway. */
export const SHARED_WITH_NONE =
  'no other gateway shares it: two such gateways before the same instances would split every agent; use affinity.redis for more than one';
