import type { Consequence, GatewayStatus } from '../data/contract.ts';
import type { Act, Fields } from './acts.ts';
import { count, list } from './text.ts';

/** What the acts cost that the gateway computes no consequence for. @param others running gateways beside this one */
export function localConsequence(
  act: Act,
  fields: Fields,
  status: GatewayStatus,
  others: number | undefined,
): string {
  const name = act.agent?.name ?? '';
  switch (act.verb) {
    case 'move':
      return `${name} must log on again at ${fields.instance || 'the other instance'}, and loses the calls, e-mails and chats that the present instance holds.`;
    case 'forget':
      return `The binding of ${name} ends. The next request is placed like that of a new agent, so ${name} may have to log on again.`;
    case 'maintenance-on':
      return `This gateway answers every new request with the maintenance page (those in progress, ${status.inFlight}, are answered first). ${othersText(others)}`;
    case 'maintenance-off':
      return 'This gateway forwards requests again. No agent has to log on again.';
    case 'stop':
      return `Requests in progress (${status.inFlight}) are answered first; then this gateway ends, and its console with it. It is started again on its host only, for example by systemctl start ici-gateway. ${othersText(others)}`;
    case 'restart':
      return 'The processes of this gateway are replaced one by one. No request is refused, and no agent has to log on again.';
    case 'reload':
      return 'The processes of this gateway are replaced one by one and read the configuration again. If it is invalid, nothing changes.';
    case 'failback-policy':
      return `The policy holds for all gateways and outranks the configuration.${fields.policy === 'immediate' ? ' The pool may return at once, and then all its agents must log on again.' : ''}`;
    case 'rebalance':
      return 'Agents who have logged off move to instances with fewer agents as they log on again. All others stay. No agent has to log on again for it.';
    case 'rebalance-end':
      return 'Agents stay where they are as they log on again. No agent moves back.';
    case 'adopt-config':
      return adoptText(act, status);
    default:
      return '';
  }
}

// Agents come and go while an operator reads.
const MORE_TOLERATED = 1.1;

/** Whether an operator who has read the one consequence would be surprised by the other. */
export function isSurprise(read: Consequence, now: Consequence): boolean {
  const shape = ({ text }: Consequence): string => text.replace(/\d+ agents?|\d+/g, '#');
  if (shape(read) !== shape(now)) return true;
  return (now.agents ?? 0) > Math.ceil((read.agents ?? 0) * MORE_TOLERATED);
}

function othersText(others: number | undefined): string {
  if (others === undefined) return 'Whether other gateways run is not known.';
  if (others === 0) return 'No other gateway runs: agents are then not served.';
  return `${count(others, 'other gateway')} ${others === 1 ? 'runs' : 'run'} and can serve the agents.`;
}

function adoptText({ pool }: Act, { replica, pools }: GatewayStatus): string {
  const configuration = pools.find(({ name }) => name === pool)?.configuration;
  const parts = (configuration?.differences ?? []).filter((one) => one.replica === replica);
  if (parts.length === 0) return 'This gateway does not differ from the agreed configuration.';
  const names = list(parts.map(({ part }) => part));
  return `All gateways act by the configuration of this gateway (${names}). Those that cannot follow it stop serving pool ${pool}.`;
}
