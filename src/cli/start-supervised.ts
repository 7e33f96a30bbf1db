import type { ReadConfig } from '../config/read-config.ts';
import { forking } from '../process/child-port.ts';
import { HostSockets } from '../process/host-sockets.ts';
import { bindSocket, inheritedSockets } from '../process/listening-socket.ts';
import { Supervisor } from '../process/supervisor.ts';
import type { Logger } from '../telemetry/logger.ts';
import { replicaName } from '../wiring/names.ts';
import type { ConfigReader } from './config-reader.ts';
import type { ListensOn, Started } from './start-alone.ts';

/** Starts a gateway of several processes. This one holds the ports and restarts processes that exit. */
export function startSupervised(
  read: ReadConfig,
  reader: ConfigReader,
  warn: (text: string) => void,
  logger: Logger,
): Started {
  const { config } = read;
  process.title = 'ici-gateway: supervisor';
  const program = process.argv[1];
  if (program === undefined)
    throw new Error('the path of this program is unknown: start it with node and its file');
  const supervisor = new Supervisor({
    read,
    replica: replicaName(config),
    workersOf: ({ workers }) => workers,
    readConfig: (inEffect) => reader.readAgain(inEffect, warn),
    previewReload: (inEffect) => reader.preview(inEffect),
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
