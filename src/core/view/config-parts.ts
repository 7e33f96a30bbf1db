/**
 * A pool's configuration as gateways compare it: resolved values by the name of
 * the part, such as `quorum` or `url:a`. A part that is missing belongs to another
 * release, or does not apply; it is not compared.
 */
export type ConfigParts = Readonly<Record<string, unknown>>;

/** A configuration that an operator wants agreed. */
export interface RequestedConfig {
  readonly id: string;
  readonly parts: ConfigParts;
}
