/**
 * The supported methods and types of the SAPControl web service. Names and types are those of SAP's own
 * WSDL (as in github.com/vincepak/sapcontrol-client-test-web), so that clients generated from it work.
 * Requests are parsed by this table, and the WSDL is built from it.
 */

export type SimpleType = 'string' | 'int' | 'long' | 'STATE-COLOR';

export interface Field {
  readonly name: string;
  readonly type: SimpleType;
  /** An optional string. Numbers and colours are always present. */
  readonly optional?: boolean;
  /** A number missing from a request counts as 0. */
  readonly default?: number;
}

/** A list is one element with an `item` for each entry. */
export interface ListField {
  readonly name: string;
  readonly arrayType: string;
  readonly itemType: StructName;
}

export interface Method {
  readonly documentation: string;
  /** The method changes something, so the caller must authenticate. */
  readonly isProtected: boolean;
  readonly request: readonly Field[];
  readonly response: readonly (Field | ListField)[];
}

export const STATE_COLORS = [
  'SAPControl-GRAY',
  'SAPControl-GREEN',
  'SAPControl-YELLOW',
  'SAPControl-RED',
] as const;
export type StateColor = (typeof STATE_COLORS)[number];

const text = (name: string): Field => ({ name, type: 'string', optional: true });
const int = (name: string): Field => ({ name, type: 'int' });
const long = (name: string): Field => ({ name, type: 'long' });
const color = (name: string): Field => ({ name, type: 'STATE-COLOR' });

export const STRUCTS = {
  OSProcess: [
    text('name'),
    text('description'),
    color('dispstatus'),
    text('textstatus'),
    text('starttime'),
    text('elapsedtime'),
    int('pid'),
  ],
  InstanceProperty: [text('property'), text('propertytype'), text('value')],
  InstanceVersionInfo: [text('Filename'), text('VersionInfo'), text('Time')],
  SAPInstance: [
    text('hostname'),
    int('instanceNr'),
    int('httpPort'),
    int('httpsPort'),
    text('startPriority'),
    text('features'),
    color('dispstatus'),
  ],
  WebDispServer: [
    ...['sid', 'instance', 'hostname', 'protocol', 'type', 'status'].map(text),
    ...['capacity', 'load', 'port', 'cur-conn', 'peak-conn', 'max-conn'].map(int),
    ...['sec-port', 'sec-cur-conn', 'sec-peak-conn', 'sec-max-conn'].map(int),
    ...['req-cnt-stateless', 'req-cnt-stateful', 'req-cnt-group'].map(long),
    ...['resp-time-min', 'resp-time-avg', 'resp-time-last', 'ping-time-last'].map(long),
  ],
} as const satisfies Readonly<Record<string, readonly Field[]>>;
export type StructName = keyof typeof STRUCTS;

const RUNLEVEL = text('runlevel');
const SOFT_TIMEOUT: Field = { name: 'softtimeout', type: 'int', default: 0 };
const IS_SYSTEM_STOP: Field = { name: 'IsSystemStop', type: 'int', default: 0 };

export const METHODS = {
  GetProcessList: {
    documentation: 'The gateway as one process, with its state.',
    isProtected: false,
    request: [],
    response: [{ name: 'process', arrayType: 'ArrayOfOSProcess', itemType: 'OSProcess' }],
  },
  GetInstanceProperties: {
    documentation: 'The names of this instance, and the supported methods.',
    isProtected: false,
    request: [],
    response: [{ name: 'properties', arrayType: 'ArrayOfInstanceProperties', itemType: 'InstanceProperty' }],
  },
  GetVersionInfo: {
    documentation: 'Versions of the gateway and of its runtime.',
    isProtected: false,
    request: [],
    response: [{ name: 'version', arrayType: 'ArrayOfInstanceVersionInfo', itemType: 'InstanceVersionInfo' }],
  },
  GetSystemInstanceList: {
    documentation: 'The instances of the system: this one.',
    isProtected: false,
    request: [{ name: 'timeout', type: 'int', default: 0 }],
    response: [{ name: 'instance', arrayType: 'ArrayOfSAPInstance', itemType: 'SAPInstance' }],
  },
  ParameterValue: {
    documentation: 'The value of a parameter; without a name, all parameters as name=value.',
    isProtected: false,
    request: [{ name: 'parameter', type: 'string' }],
    response: [text('value')],
  },
  AccessCheck: {
    documentation: 'Whether the caller may call a method.',
    isProtected: false,
    request: [{ name: 'function', type: 'string' }],
    response: [],
  },
  WebDispGetServerList: {
    documentation: 'The instances of all pools.',
    isProtected: false,
    request: [],
    response: [{ name: 'server', arrayType: 'ArrayOfWebDispServer', itemType: 'WebDispServer' }],
  },
  Start: {
    documentation: 'Succeeds without effect if the gateway is running or starting; fails if it is stopping.',
    isProtected: true,
    request: [RUNLEVEL],
    response: [],
  },
  Stop: {
    documentation: 'Triggers a soft stop, and a hard one after softtimeout seconds; returns immediately.',
    isProtected: true,
    request: [SOFT_TIMEOUT, IS_SYSTEM_STOP],
    response: [],
  },
  Shutdown: {
    documentation: 'Triggers a soft stop within the configured time; returns immediately.',
    isProtected: true,
    request: [IS_SYSTEM_STOP],
    response: [],
  },
  RestartInstance: {
    documentation: 'Triggers a stop like Stop and then a start; returns immediately.',
    isProtected: true,
    request: [SOFT_TIMEOUT, RUNLEVEL],
    response: [],
  },
  SendSignal: {
    documentation: 'Sends a signal, by name or number, to a process of the gateway.',
    isProtected: true,
    request: [int('pid'), { name: 'signal', type: 'string' }],
    response: [],
  },
} as const satisfies Readonly<Record<string, Method>>;
export type MethodName = keyof typeof METHODS;

export function isMethod(name: string): name is MethodName {
  return Object.hasOwn(METHODS, name);
}
