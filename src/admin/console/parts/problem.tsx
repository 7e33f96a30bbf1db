import type { Problem } from '../data/client.ts';

/** What failed, and what to do next. */
export function ProblemText({ problem }: { readonly problem: Problem }) {
  return (
    <p class="problem">
      <strong>{sentence(problem.text)}</strong> {problem.next}
    </p>
  );
}

// Not capitalised: it may begin with the id of an instance.
function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
