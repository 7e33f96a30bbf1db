import { duration, section } from './option.ts';

export const lifecycle = section('How the gateway starts and ends, as SAP Web Dispatcher does.', {
  maxInitTime: duration(
    'How long the gateway stays Starting at most. It ends earlier when the instances of every pool have been probed.',
    { default: '2m' },
  ),
  statusPollInterval: duration(
    'How long a gateway that stops still accepts connections after its state says so. As long as the load balancers in front take to notice: their interval times the failures they wait for. `0s` accepts no more at once.',
    { default: '0s', atLeast: '0s' },
  ),
  shutdownTimeout: duration(
    'How long a stop takes at most, `statusPollInterval` included. What is not answered by then is cut off.',
    { default: '90s', atLeast: '0s' },
  ),
});
