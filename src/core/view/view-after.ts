import type { AgreedView } from './agreed-view.ts';
import type { Circumstances, Decision } from './next-view.ts';
import { nextView } from './next-view.ts';
import { viewId } from './view-store.ts';

/** {@link nextView} with its own epoch and id. */
export function viewAfter(
  view: AgreedView,
  circumstances: Circumstances,
  newId: () => string,
): Decision | undefined {
  const decision = nextView(view, circumstances);
  if (decision === undefined) return undefined;
  const epoch = view.epoch + 1;
  return { ...decision, view: { ...decision.view, epoch, id: viewId(epoch, newId()) } };
}
