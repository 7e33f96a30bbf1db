import type { FaultCode } from '../soap/writer.ts';

/**
 * An error that is answered with a SOAP Fault. The client sees the text, so it
 * contains no file name and no address.
 */
export class SoapFault extends Error {
  override readonly name = 'SoapFault';
  readonly code: FaultCode;

  constructor(code: FaultCode, message: string) {
    super(message);
    this.code = code;
  }
}
