import { certificatesOf, renewedCertificates } from '../config/certificates.ts';
import { movesOf } from '../config/moves.ts';
import type { ReloadPreview } from '../config/preview.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { ReloadPreviewStatus } from '../core/reload-preview-status.ts';
import { RELOADABLE } from '../core/reload-preview-status.ts';

/** What a reload would change, and how many agents of these pools would move. */
export function reloadPreviewStatus(
  { config, rebinds, text, changes, ...preview }: ReloadPreview,
  { pools, certificates }: Pick<GatewayStatus, 'pools' | 'certificates'>,
): ReloadPreviewStatus {
  const moves = config === undefined ? [] : movesOf(pools, config, rebinds);
  const renewed = config === undefined ? [] : renewedCertificates(certificates, certificatesOf(config));
  return {
    ...preview,
    text: changes.length === 0 && renewed.length > 0 ? RELOADABLE : text,
    changes: [...changes, ...renewed],
    agents: moves.reduce((sum, { moving }) => sum + moving, 0),
    moves: moves.flatMap(({ pool, movesEverybody, instances }) =>
      instances.map(({ instance, boundAgents: agents, why }) => ({
        pool,
        instance,
        agents,
        movesAll: movesEverybody,
        why,
      })),
    ),
  };
}
