import Type from 'typebox';
import { path, reload, section, text, written } from './option.ts';

export const sapcontrol = section(
  'The SAPControl web service, for monitoring and operation with the tools of SAP systems. Without this section there is none; `sapcontrol: {}` is one with the defaults.',
  {
    instanceNumber: reload(
      text(
        'Number of this instance, two digits in quotes; another one for each SAP instance of a host. SAP tools derive port and socket from it.',
        { default: '00', pattern: '^[0-9]{2}$', expects: 'two digits in quotes, such as "00"' },
      ),
    ),
    sid: reload(
      text('System id that this instance is listed under (SAPSYSTEMNAME).', {
        default: 'ICI',
        pattern: '^[A-Z][A-Z0-9]{2}$',
        expects: 'three capital letters or digits, the first a letter',
      }),
    ),
    instanceName: reload(
      text('Name of this instance (INSTANCE_NAME), as cluster software is told it.', {
        computed: 'sapInstanceName',
        pattern: '^[A-Z][A-Za-z0-9_-]{1,31}$',
        expects: 'up to 32 letters, digits, "_" and "-", the first a capital letter',
      }),
    ),
    address: reload(
      written(
        'address',
        'Host and port of the service. What it tells, it tells to whoever asks. Port 0 takes any free one.',
        { computed: 'sapControlAddress' },
      ),
    ),
    socket: reload(
      path(
        'Unix socket of the service. Only the user of the gateway, and root, can open it, and may do everything there without a password.',
        { computed: 'sapControlSocket' },
      ),
    ),
    passwordFile: reload(
      Type.Optional(
        path(
          'File with those who may stop, restart and signal the gateway: lines `user:$scrypt$…`, made by `ici-gateway hash-password USER`. Read at every attempt. Without it these methods are refused but for those who come by the Unix socket.',
        ),
      ),
    ),
  },
);
