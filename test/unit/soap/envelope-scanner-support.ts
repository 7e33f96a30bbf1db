import { readFileSync } from 'node:fs';
import type { ElementRule } from '../../../src/soap/element-rules.ts';
import { EnvelopeScanner } from '../../../src/soap/envelope-scanner.ts';

export const SOAP_11 = 'http://schemas.xmlsoap.org/soap/envelope/';
export const SOAP_12 = 'http://www.w3.org/2003/05/soap-envelope';

export const RULES: ElementRule[] = [
  { kind: 'user', local: 'user' },
  { kind: 'user', local: 'agent' },
  { kind: 'session', local: 'sessionId' },
  { kind: 'session', local: 'appId' },
];

export function scan(document: string | Buffer, rules = RULES, { maxDepth = 4, complete = true } = {}) {
  const bytes = typeof document === 'string' ? Buffer.from(document) : document;
  return new EnvelopeScanner(rules, { maxDepth }).scan(bytes, undefined, complete);
}

/** An envelope around the parameters of one operation. */
export function envelope(parameters: string, { header = '', namespace = SOAP_11 } = {}): string {
  return `<s:Envelope xmlns:s="${namespace}">${header}<s:Body><m:op xmlns:m="urn:m">${parameters}</m:op></s:Body></s:Envelope>`;
}

export function fixture(name: string): Buffer {
  return readFileSync(new URL(`../../fixtures/soap/${name}`, import.meta.url));
}
