import type { ComponentChildren } from 'preact';
import type { PoolStatus } from '../data/contract.ts';
import { filter } from '../data/route.ts';

export function Field({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is passed as a child
    <label>
      {label}
      {children}
    </label>
  );
}

interface PoolFieldProps {
  readonly pools: readonly PoolStatus[];
  readonly value: string;
}

export function PoolField({ pools, value }: PoolFieldProps) {
  return (
    <Field label="Pool">
      <select
        data-testid="filter-pool"
        value={value}
        onChange={({ currentTarget }) => filter({ pool: currentTarget.value, instance: '', cursor: '' })}
      >
        {pools.map(({ name }) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </Field>
  );
}
