import type { ShownOption } from '../data/contract.ts';

/** @param isChangedOnly leaves out what has its default */
export function chosen(
  options: readonly ShownOption[],
  search: string,
  isChangedOnly: boolean,
): readonly ShownOption[] {
  const wanted = search.trim().toLowerCase();
  return options.filter(
    ({ path, value, source }) =>
      `${path} ${value}`.toLowerCase().includes(wanted) && (!isChangedOnly || source !== 'default'),
  );
}
