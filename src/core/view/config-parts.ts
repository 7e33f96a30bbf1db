/**
 * A pool's configuration in the form in which gateways compare it: resolved values by the name of the part, such as
 * `quorum` or `url:a`. A missing part belongs to another release or does not apply; it is not compared.
 */
export type ConfigParts = Readonly<Record<string, unknown>>;

/** A configuration that an operator asks all gateways to agree on. */
export interface RequestedConfig {
  readonly id: string;
  readonly parts: ConfigParts;
}
