import type { Command } from 'commander';
import { examples } from '../output.ts';
import { addAgents } from './agents.ts';
import type { AdminContext } from './context.ts';
import { addEvents } from './events.ts';
import { addExplain } from './explain.ts';
import { addGateway } from './gateway.ts';
import { addHistory } from './history.ts';
import { addIdentity } from './identity.ts';
import { addIncident } from './incident.ts';
import { addInstances } from './instances.ts';
import { addPools } from './pools.ts';
import { addRequests } from './requests.ts';
import { addStatus } from './status.ts';
import { addWhatIf } from './what-if.ts';

/** `ici-gateway admin`: calls the admin API of a running gateway. */
export function addAdmin(program: Command, context: AdminContext): void {
  const admin = program
    .command('admin')
    .description(
      'Operate a running gateway. A change of a pool applies to all gateways that share its store.',
    )
    .addHelpText(
      'after',
      `
At a terminal the commands print text for people, elsewhere and with --json the JSON of the admin API.

Exit codes:
  0    done
  1    refused, or no answer
  2    the command line is wrong
  3    the answer is no: "agent" found no binding, or "alarms" an alarm; "reload --dry-run" would be refused
  130  Ctrl-C ended --watch before the drain was over, and the drain goes on; or it ended "incident"
${examples([
  'ici-gateway admin status',
  'ici-gateway admin agent MILLER',
  'ici-gateway admin agents ici --instance a --idle-since 30m',
  'ici-gateway admin requests ici --user MILLER --follow',
  'ici-gateway admin errors',
  'ici-gateway admin explain ici --user MILLER',
  'ici-gateway admin explain ici --file request.txt',
  'ici-gateway admin what-if ici --instance-dies a',
  'ici-gateway admin drain ici a --why "patch the host" --deadline 30m --watch --token-file admin.token',
  'ici-gateway admin disable ici a --dry-run',
  'ici-gateway admin move ici MILLER b --why "complains of echo" --token-file admin.token',
  'ici-gateway admin events ici --since 24h --by jones',
  'ici-gateway admin history ici --last 15m',
  'ici-gateway admin epochs ici --since 24h',
  'ici-gateway admin incident --last 15m -o incident.tar.gz --token-file admin.token',
  'ici-gateway admin maintenance on --why "new release of the connector" --token-file admin.token',
  'ici-gateway admin failback-policy ici "at 03:30" --zone Europe/Berlin --why "quiet then" --token-file admin.token',
])}`,
    );
  addStatus(admin, context);
  addAgents(admin, context);
  addIdentity(admin, context);
  addRequests(admin, context);
  addExplain(admin, context);
  addWhatIf(admin, context);
  addInstances(admin, context);
  addPools(admin, context);
  addEvents(admin, context);
  addHistory(admin, context);
  addIncident(admin, context);
  addGateway(admin, context);
}
