import { live } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import type { Act, FieldName, Fields } from '../logic/acts.ts';
import { ACTS } from '../logic/acts.ts';
import { instanceWord } from '../logic/served.ts';

interface ActFieldsProps {
  readonly act: Act;
  readonly fields: Fields;
  readonly onChange: (name: FieldName, value: string) => void;
}

/** What an act asks for beside the reason. */
export function ActFields({ act, fields, onChange }: ActFieldsProps) {
  return (
    <>
      {ACTS[act.verb].fields.map((name) => {
        const value = fields[name] ?? '';
        const set = (next: string): void => onChange(name, next);
        if (name === 'instance') return <InstanceField key={name} act={act} value={value} onChange={set} />;
        if (name === 'policy') return <PolicyField key={name} value={value} onChange={set} />;
        if (name === 'zone' && !fields.policy?.startsWith('at')) return null;
        return <TextField key={name} name={name} value={value} onChange={set} />;
      })}
    </>
  );
}

interface FieldProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

const TEXTS: Readonly<Record<string, readonly [label: string, example: string]>> = {
  deadline: ['Latest end of the drain (optional)', '30m, or 2026-03-01T22:00:00Z'],
  until: ['Until (optional; 12 hours from now by default)', '30m, or 2026-03-01T22:00:00Z'],
  softTimeout: ['Cut off requests without an answer after (optional)', '30s'],
  zone: ['Time zone', 'Europe/Berlin'],
};

function TextField({ name, value, onChange }: FieldProps & { readonly name: FieldName }) {
  const [label, example] = TEXTS[name] ?? [name, ''];
  return (
    <label>
      {label}
      <input
        data-testid={`confirm-${name}`}
        value={value}
        placeholder={example}
        onInput={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </label>
  );
}

/** Where an agent can be moved to. */
function InstanceField({ act, value, onChange }: FieldProps & { readonly act: Act }) {
  const { status } = useStore(live);
  const instances = status?.pools.find(({ name }) => name === act.pool)?.instances ?? [];
  return (
    <label>
      To instance
      <select
        data-testid="confirm-instance"
        value={value}
        onChange={({ currentTarget }) => onChange(currentTarget.value)}
      >
        <option value="">choose …</option>
        {instances
          .filter(({ id }) => id !== act.instance)
          .map((one) => (
            <option key={one.id} value={one.id} disabled={one.health !== 'up' || one.admin !== 'enabled'}>
              {`${one.id} (${instanceWord(one).word})`}
            </option>
          ))}
      </select>
    </label>
  );
}

const POLICIES: readonly (readonly [policy: string, text: string])[] = [
  ['never', 'never: an operator decides'],
  ['when-idle', 'when-idle: when no agent is active'],
  ['immediate', 'immediate: as soon as the preferred instance is up'],
];

function PolicyField({ value, onChange }: FieldProps) {
  const isTimed = value.startsWith('at');
  return (
    <>
      <label>
        Policy
        <select
          data-testid="confirm-policy"
          value={isTimed ? 'at' : value}
          onChange={({ currentTarget }) =>
            onChange(currentTarget.value === 'at' ? 'at 03:30' : currentTarget.value)
          }
        >
          {POLICIES.map(([policy, text]) => (
            <option key={policy} value={policy}>
              {text}
            </option>
          ))}
          <option value="at">at a time of day</option>
        </select>
      </label>
      {isTimed && (
        <label>
          Time of day
          <input
            type="time"
            value={value.slice(3)}
            onInput={({ currentTarget }) => onChange(`at ${currentTarget.value}`)}
          />
        </label>
      )}
    </>
  );
}
