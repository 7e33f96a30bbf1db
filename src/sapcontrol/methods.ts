import { constants } from 'node:os';
import { LONGEST_TIMER_MS } from '../core/longest-timer.ts';
import type { Call, Value } from './envelope.ts';
import type { MethodName } from './message-types.ts';
import { isMethod, METHODS } from './message-types.ts';
import { conditionOf, processList, sapTime } from './process-list.ts';
import { serverList } from './server-list.ts';
import { SoapFault } from './soap-fault.ts';
import type { SapControlSource, SapState } from './source.ts';

/** Throws if the caller may not use the method. Called once, before the method runs. */
export type Demand = (method: MethodName) => Promise<void>;

/** The address of the service for answers; the port is 0 if there is none. */
export interface Ports {
  readonly http: () => number;
}

/**
 * Carries out the methods of the SAPControl web service, independent of the
 * transport. Rejects with {@link SoapFault} if a call is wrong.
 */
export class Methods {
  readonly #source: SapControlSource;
  readonly #ports: Ports;

  constructor(source: SapControlSource, ports: Ports) {
    this.#source = source;
    this.#ports = ports;
  }

  async run(call: Call, demand: Demand): Promise<Readonly<Record<string, Value>>> {
    const { method } = call;
    if (!isMethod(method))
      throw new SoapFault('Client', `there is no method ${method} here; GET /?wsdl lists all methods`);
    const values = new Values(call);
    if (METHODS[method].isProtected) await demand(method);
    switch (method) {
      case 'GetProcessList':
        return { process: items(processList(this.#source, new Date())) };
      case 'GetInstanceProperties':
        return { properties: items(this.#properties()) };
      case 'GetVersionInfo':
        return { version: items(this.#versions()) };
      case 'GetSystemInstanceList':
        values.int('timeout');
        return { instance: items([this.#instance()]) };
      case 'ParameterValue':
        return { value: this.#parameter(values.string('parameter')) };
      case 'AccessCheck':
        return this.#checkAccess(values.string('function'), demand);
      case 'WebDispGetServerList':
        return { server: items(serverList(this.#source.status())) };
      case 'Start':
        return this.#start();
      case 'Stop':
        return done(this.#source.stop(values.seconds('softtimeout')));
      case 'Shutdown':
        return done(this.#source.stop(undefined));
      case 'RestartInstance':
        return done(this.#source.restart(values.seconds('softtimeout')));
      case 'SendSignal':
        return this.#signal(values.int('pid'), values.string('signal'));
    }
  }

  #properties(): Record<string, string>[] {
    const { sid, instanceNumber, instanceName, hostname } = this.#source.identity;
    const names = Object.keys(METHODS) as MethodName[];
    const properties = {
      INSTANCE_NAME: instanceName,
      SAPSYSTEM: instanceNumber,
      SAPSYSTEMNAME: sid,
      SAPLOCALHOST: hostname,
      Webmethods: names.join(','),
      'Protected Webmethods': names.filter((name) => METHODS[name].isProtected).join(','),
    };
    return Object.entries(properties).map(([property, value]) => ({
      property,
      propertytype: 'string',
      value,
    }));
  }

  #versions(): Record<string, string>[] {
    const { builtAt } = this.#source;
    const { version } = this.#source.status();
    return [
      {
        Filename: 'ici-gateway',
        VersionInfo: `${version}, Node.js ${process.versions.node}, ${process.platform} ${process.arch}`,
        Time: sapTime(builtAt),
      },
    ];
  }

  #instance(): Record<string, string | number> {
    const { hostname, instanceNumber } = this.#source.identity;
    return {
      hostname,
      instanceNr: Number(instanceNumber),
      httpPort: this.#ports.http(),
      httpsPort: 0,
      startPriority: '3',
      features: 'WEBDISP',
      dispstatus: conditionOf(this.#source.state(), this.#source.liveWorkers()).color,
    };
  }

  #parameter(name: string): string {
    const parameters = this.#source.parameters();
    if (name === '') return Array.from(parameters, ([key, value]) => `${key}=${value}`).join('\n');
    const value = parameters.get(name);
    if (value === undefined)
      throw new SoapFault('Client', `there is no parameter ${name} here; an empty name lists all parameters`);
    return value;
  }

  async #checkAccess(name: string, demand: Demand): Promise<Record<string, Value>> {
    if (!isMethod(name))
      throw new SoapFault('Client', `there is no method ${name} here; GET /?wsdl lists all methods`);
    if (METHODS[name].isProtected) await demand(name);
    return {};
  }

  #start(): Record<string, Value> {
    const state = this.#source.state();
    if (ENDING.has(state))
      throw new SoapFault('Server', `the gateway is in state ${state}; start it with the service manager`);
    return {};
  }

  async #signal(pid: number, name: string): Promise<Record<string, Value>> {
    const pids = this.#source.pids();
    if (!pids.includes(pid))
      throw new SoapFault(
        'Client',
        `${pid} is not a process of this gateway; its processes are ${pids.join(', ')}`,
      );
    const signal = signalOf(name);
    if (signal === undefined)
      throw new SoapFault('Client', `${name} is not a signal; give a name such as SIGHUP, or its number`);
    return done(this.#source.signal(pid, signal));
  }
}

const ENDING: ReadonlySet<SapState> = new Set(['Stopping', 'Draining', 'Stopped']);

async function done(act: Promise<void>): Promise<Record<string, Value>> {
  await act;
  return {};
}

function items<Row extends object>(rows: readonly Row[]): Value {
  return { item: rows as readonly Readonly<Record<string, string | number>>[] };
}

function signalOf(text: string): NodeJS.Signals | undefined {
  const upper = text.toUpperCase();
  const wanted = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  return (Object.entries(constants.signals) as [NodeJS.Signals, number][]).find(
    ([name, number]) => name === wanted || String(number) === text,
  )?.[0];
}

const MOST_INT = 2 ** 31 - 1;
const MOST_SECONDS = LONGEST_TIMER_MS / 1_000;

/** The arguments of a call, converted to the types of the WSDL. */
class Values {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  string(name: string): string {
    return this.#call.values.get(name) ?? '';
  }

  /** A missing or empty value is 0. */
  int(name: string): number {
    const text = this.string(name);
    if (text === '') return 0;
    const value = /^[+-]?[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(Math.abs(value) <= MOST_INT))
      throw new SoapFault('Client', `${name} of ${this.#call.method} must be an integer of 32 bits`);
    return value;
  }

  /** Reads seconds and returns milliseconds. */
  seconds(name: string): number {
    const seconds = this.int(name);
    if (seconds < 0 || seconds > MOST_SECONDS)
      throw new SoapFault(
        'Client',
        `${name} of ${this.#call.method} must be a number of seconds from 0 to ${MOST_SECONDS}`,
      );
    return seconds * 1_000;
  }
}
