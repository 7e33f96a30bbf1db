export interface Credentials {
  readonly user: string;
  readonly password: string;
}

// Longer credentials cannot be a typed password and are not hashed.
const MOST_BYTES = 1_024;

/** What a user typed, in the form in which it is compared; `undefined` if it cannot be a user and a password. */
export function credentials(user: string, password: string): Credentials | undefined {
  const bytes = Buffer.byteLength(user) + Buffer.byteLength(password);
  // RFC 7617 §2 forbids control characters; a zero at the end would make no difference to scrypt.
  if (bytes === 0 || bytes > MOST_BYTES || /\p{Cc}/u.test(user + password)) return undefined;
  return { user: user.normalize('NFC'), password };
}

/** Those of Basic authentication (RFC 7617). */
export function basicCredentials(authorization = ''): Credentials | undefined {
  const [, encoded = ''] = /^Basic +([A-Za-z0-9+/]+=*) *$/i.exec(authorization) ?? [];
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : credentials(text.slice(0, colon), text.slice(colon + 1));
}
