import type { ComponentChildren } from 'preact';
import type { Level } from '../logic/served.ts';

// A shape for each level, because colour alone does not reach everyone.
const SHAPES: Readonly<Record<Level, string>> = { ok: '●', warning: '▲', critical: '■', unknown: '○' };

interface BadgeProps {
  readonly level: Level;
  /** The word. */
  readonly children: ComponentChildren;
}

export function Badge({ level, children }: BadgeProps) {
  return (
    <span class={`badge level-${level}`}>
      <span aria-hidden="true">{SHAPES[level]}</span> {children}
    </span>
  );
}
