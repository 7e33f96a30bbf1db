import * as Type from 'typebox';
import { path, reload, section, text, written } from './option.ts';

export const sapcontrol = section(
  'The SAPControl web service, for monitoring and operation with the tools of SAP systems. Without this section the service is off; `sapcontrol: {}` starts it with the defaults.',
  {
    instanceNumber: reload(
      text(
        'Number of this instance, two digits in quotes; each SAP instance of a host has its own. SAP tools derive port and socket from it.',
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
      text('Name of this instance (INSTANCE_NAME), as shown to cluster software.', {
        computed: 'sapInstanceName',
        pattern: '^[A-Z][A-Za-z0-9_-]{1,31}$',
        expects: 'up to 32 letters, digits, "_" and "-", the first a capital letter',
      }),
    ),
    address: reload(
      written(
        'address',
        'Host and port of the service. Everyone who can connect can read from it. Port 0 takes any free one.',
        { computed: 'sapControlAddress' },
      ),
    ),
    socket: reload(
      path(
        'Unix socket of the service. Only the user of the gateway and root can open it. Everything is allowed on it without a password.',
        { computed: 'sapControlSocket' },
      ),
    ),
    passwordFile: reload(
      Type.Optional(
        path(
          'File of users that may stop, restart and signal the gateway: lines `user:$scrypt$…`, made by `ici-gateway hash-password USER`. The gateway reads it at every attempt. Without it these methods are refused except on the Unix socket.',
        ),
      ),
    ),
  },
);
