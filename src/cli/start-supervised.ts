import type { Config } from '../config/schema.ts';
import { forking } from '../process/child-port.ts';
import { HostSockets } from '../process/host-sockets.ts';
import { bindSocket, inheritedSockets } from '../process/listening-socket.ts';
import type { SupervisorOptions } from '../process/supervisor.ts';
import { Supervisor } from '../process/supervisor.ts';
import type { Logger } from '../telemetry/logger.ts';
import { replicaName } from '../wiring/names.ts';
import type { ListensOn, Started } from './start-alone.ts';

/** Starts a gateway of several processes. This one holds the ports and restarts processes that exit. */
export function startSupervised(
  config: Config,
  readConfig: SupervisorOptions['readConfig'],
  logger: Logger,
): Started {
  process.title = 'ici-gateway: supervisor';
  const program = process.argv[1];
  if (program === undefined)
    throw new Error('the path of this program is unknown: start it with node and its file');
  const supervisor = new Supervisor({
    config,
    replica: replicaName(config),
    workersOf: ({ workers }) => workers,
    readConfig,
    startChild: forking(program),
    sockets: new HostSockets({ bind: bindSocket, inherited: inheritedSockets(process.env, process.pid) }),
    logger,
  });
  const listens = async (): Promise<ListensOn | undefined> => {
    await supervisor.start();
    const data = supervisor.addressOf('data');
    const admin = supervisor.addressOf('admin');
    if (data === undefined || admin === undefined) return undefined;
    const urls = {
      data: `${config.listen.tls === undefined ? 'http' : 'https'}://${data}`,
      admin: `${config.admin.tls === undefined ? 'http' : 'https'}://${admin}`,
    };
    logger.info({ address: urls.admin }, 'admin listening');
    logger.info({ address: urls.data }, 'listening');
    return urls;
  };
  return {
    listens: listens(),
    target: {
      ended: supervisor.ended,
      stop: (why, times) => supervisor.stop(why, times),
      reload: (why) => void supervisor.reload(why),
      moveLogLevel: (step) => supervisor.moveLogLevel(step),
    },
  };
}
