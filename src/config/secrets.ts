import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import type { GroupFile } from '../core/group-file.ts';
import { parseGroupFile } from '../core/group-file.ts';
import type { AdminUser, PasswordRecord } from '../core/password-record.ts';
import { parsePasswordFile } from '../core/password-record.ts';
import type { ClientTlsConfig, ListenerTlsConfig, RedisConfig } from './schema.ts';

/** A file that the configuration names cannot be used. The message gives the reason. */
export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable';
  /** The option that names the file. */
  readonly option: string;

  constructor(option: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.option = option;
  }
}

/**
 * Reads the TLS files of a listener for `tls.createServer`. Throws {@link SecretUnreadable}.
 * A reload reads them again, after a renewal.
 */
export function readListenerTls(tls: ListenerTlsConfig): TlsOptions {
  const { minVersion } = tls;
  const base = { ...readKeyPair(tls.certFile, tls.keyFile), minVersion, ciphers: readCiphers(tls.ciphers) };
  if (tls.clientCaFile === undefined) return base;
  const ca = readCertificates('clientCaFile', tls.clientCaFile);
  return { ...base, ca, requestCert: true, rejectUnauthorized: true };
}

const TLS13_CIPHERS = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
// Node's own default adds CBC, CCM with a short tag, and suites without forward secrecy.
const TLS12_CIPHERS = [
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');

/** In Node a list without suites of TLS 1.3 turns that version off. */
function readCiphers(given = TLS12_CIPHERS): string {
  const ciphers = /(^|:)TLS_/.test(given) ? given : `${TLS13_CIPHERS}:${given}`;
  try {
    createSecureContext({ ciphers });
    // OpenSSL ignores unknown names beside known ones, and the suites of TLS 1.3 are always known.
    createSecureContext({ ciphers: given });
  } catch (error) {
    const reason = `${given} has no cipher suite that OpenSSL knows; \`openssl ciphers -v\` lists them`;
    throw new SecretUnreadable('ciphers', reason, error);
  }
  return ciphers;
}

// As many bits as the keys have that are made from it, if it is random and in hex.
const SHORTEST_SECRET = 32;

/** The secret from which the keys of TLS session tickets are made. Throws {@link SecretUnreadable}. */
export function readTicketSecret(file: string): string {
  return readLongSecret('ticketKeyFile', file);
}

/** The secret that gateways share. Throws {@link SecretUnreadable}. */
export function readPeerSecret(file: string): string {
  return readLongSecret('keyFile', file);
}

/** The problems of the file with the secret that gateways share. */
export function peerSecretProblems(file: string): SecretUnreadable[] {
  return problemsOf(() => readPeerSecret(file));
}

function readLongSecret(option: string, file: string): string {
  const secret = readSecretFile(option, file);
  if (secret.length >= SHORTEST_SECRET) return secret;
  throw new SecretUnreadable(
    option,
    `${file} must contain ${SHORTEST_SECRET} or more characters; make one with: openssl rand -hex 32`,
  );
}

/** Reads the TLS files for connections that the gateway opens with `tls.connect`, undici and ioredis. */
export function readClientTls(tls: ClientTlsConfig): ConnectionOptions {
  const options: ConnectionOptions = { rejectUnauthorized: tls.verify };
  if (tls.serverName !== undefined) options.servername = tls.serverName;
  if (tls.caFile !== undefined) options.ca = readCertificates('caFile', tls.caFile);
  if (tls.certFile !== undefined && tls.keyFile !== undefined)
    Object.assign(options, readKeyPair(tls.certFile, tls.keyFile));
  return options;
}

/**
 * All problems of the files in a TLS section; the functions above stop at
 * the first one.
 */
export function tlsFileProblems(
  tls: Partial<ListenerTlsConfig> & Partial<ClientTlsConfig>,
): SecretUnreadable[] {
  const { caFile, clientCaFile, certFile, keyFile, ticketKeyFile, ciphers } = tls;
  const problems: SecretUnreadable[] = [];
  const attempt = (read: () => unknown): void => {
    problems.push(...problemsOf(read));
  };
  if (caFile !== undefined) attempt(() => readCertificates('caFile', caFile));
  if (clientCaFile !== undefined) attempt(() => readCertificates('clientCaFile', clientCaFile));
  if (ticketKeyFile !== undefined) attempt(() => readTicketSecret(ticketKeyFile));
  if (ciphers !== undefined) attempt(() => readCiphers(ciphers));
  const before = problems.length;
  if (certFile !== undefined) attempt(() => readCertificates('certFile', certFile));
  if (keyFile !== undefined) attempt(() => readKey(keyFile));
  if (problems.length === before && certFile !== undefined && keyFile !== undefined)
    attempt(() => readKeyPair(certFile, keyFile));
  return problems;
}

export interface RedisCredentials {
  readonly username?: string;
  readonly password?: string;
}

/** User and password for Redis, from options, a file or the URL. */
export function readRedisCredentials(redis: RedisConfig): RedisCredentials {
  const url = redis.url === undefined ? undefined : new URL(redis.url);
  const username = redis.username ?? decodeURIComponent(url?.username ?? '');
  const password =
    redis.passwordFile === undefined
      ? decodeURIComponent(url?.password ?? '')
      : readSecretFile('passwordFile', redis.passwordFile);
  return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) };
}

// The syntax after "Bearer" (RFC 6750 §2.1), with a length that cannot be guessed.
const TOKEN = /^[A-Za-z0-9._~+/-]{16,}=*$/;

/** A token of the admin plane. Throws {@link SecretUnreadable}. */
export function readAdminToken(file: string, option = 'tokenFile'): string {
  const token = readSecretFile(option, file);
  if (TOKEN.test(token)) return token;
  throw new SecretUnreadable(
    option,
    `${file} must contain 16 or more letters, digits and -._~+/, and nothing else; make one with: openssl rand -hex 32`,
  );
}

/** The users that may change something with SAPControl. Throws {@link SecretUnreadable}. */
export function readPasswordFile(file: string): readonly PasswordRecord[] {
  const records = readRecords(file, 'ici-gateway hash-password USER');
  const withRole = records.find(({ role }) => role !== undefined);
  if (withRole === undefined) return records;
  throw new SecretUnreadable(
    'passwordFile',
    `${file}: the line of ${withRole.user} has a role and is for admin.passwordFile; make one with: ici-gateway hash-password USER`,
  );
}

/** The users of the admin plane. Throws {@link SecretUnreadable}. */
export function readAdminUsers(file: string): readonly AdminUser[] {
  const remedy = 'ici-gateway hash-password USER --role ROLE';
  return readRecords(file, remedy).map((record) => {
    const { user, role } = record;
    if (role !== undefined) return { ...record, role };
    throw new SecretUnreadable(
      'passwordFile',
      `${file}: the line of ${user} has no role; make one with: ${remedy}`,
    );
  });
}

function readRecords(file: string, remedy: string): readonly PasswordRecord[] {
  const { records, problems } = parsePasswordFile(read('passwordFile', file));
  const [problem] = problems;
  if (problem !== undefined) throw new SecretUnreadable('passwordFile', `${file}: ${problem}`);
  if (records.length > 0) return records;
  throw new SecretUnreadable('passwordFile', `${file} has no line; make one with: ${remedy}`);
}

/** The content of a file with one secret, without the white space that editors leave around it. */
export function readSecretFile(option: string, file: string): string {
  const secret = read(option, file).trim();
  if (secret === '') throw new SecretUnreadable(option, `${file} is empty; write the secret into it`);
  return secret;
}

/** The problems of a file with one secret. */
export function secretFileProblems(option: string, file: string): SecretUnreadable[] {
  return problemsOf(() => readSecretFile(option, file));
}

/** The problems of a file with a token of the admin plane. */
export function adminTokenProblems(file: string, option?: string): SecretUnreadable[] {
  return problemsOf(() => readAdminToken(file, option));
}

/** The problems of the file of users of the admin plane. */
export function adminUsersProblems(file: string): SecretUnreadable[] {
  return problemsOf(() => readAdminUsers(file));
}

/** The problems of a file of passwords for SAPControl. */
export function passwordFileProblems(file: string): SecretUnreadable[] {
  return problemsOf(() => readPasswordFile(file));
}

/** The groups of users. Throws {@link SecretUnreadable}. */
export function readGroupFile(file: string): GroupFile['groups'] {
  const { groups, problems } = parseGroupFile(read('file', file));
  if (problems.length === 0) return groups;
  throw new SecretUnreadable('file', `${file}: ${problems.join('; ')}`);
}

/** The problems of a file of groups. */
export function groupFileProblems(file: string): SecretUnreadable[] {
  return problemsOf(() => readGroupFile(file));
}

/** The page for clients in maintenance. Throws {@link SecretUnreadable}. */
export function readMaintenancePage(file: string): string {
  return read('pageFile', file);
}

/** The problems of the page for maintenance. */
export function maintenancePageProblems(file: string): SecretUnreadable[] {
  return problemsOf(() => readMaintenancePage(file));
}

function problemsOf(read: () => unknown): SecretUnreadable[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof SecretUnreadable) return [error];
    throw error;
  }
}

function readKeyPair(certFile: string, keyFile: string): { cert: string; key: string } {
  const cert = readCertificates('certFile', certFile);
  const key = readKey(keyFile);
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new SecretUnreadable(
      'keyFile',
      `${keyFile} is not the key of ${certFile}: ${reasonOf(error)}`,
      error,
    );
  }
  return { cert, key };
}

function readKey(file: string): string {
  const key = read('keyFile', file);
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(key)) return key;
  throw new SecretUnreadable('keyFile', `${file} has no private key in PEM form; use the file of the key`);
}

function readCertificates(option: string, file: string): string {
  const pem = read(option, file);
  try {
    // Reads the first certificate; the others are checked in the handshake.
    new X509Certificate(pem);
  } catch (error) {
    throw new SecretUnreadable(option, `${file} has no certificate in PEM form: ${reasonOf(error)}`, error);
  }
  return pem;
}

function read(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new SecretUnreadable(option, `${file} cannot be read: ${reasonOf(error)}`, error);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};

/** Why a file could not be used, in plain words if the error is a known one. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}
