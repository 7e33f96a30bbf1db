/**
 * The name of the cookie. It contains the port, because browsers send the cookies of a host to all its ports, and two
 * gateways on one host must not replace each other's.
 */
export function cookieName(host: string | undefined): string {
  const [, port] = /:(\d+)$/.exec(host ?? '') ?? [];
  return port === undefined ? 'ici-gateway-session' : `ici-gateway-session-${port}`;
}

export function readCookie(header: string | undefined, name: string): string | undefined {
  const found = header
    ?.split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${name}=`));
  return found?.slice(name.length + 1);
}

/** Without a value it removes the cookie. */
export function writeCookie(name: string, value: string | undefined, isTls: boolean): string {
  const end = value === undefined ? '; Max-Age=0' : '';
  return `${name}=${value ?? ''}; Path=/; HttpOnly; SameSite=Strict${isTls ? '; Secure' : ''}${end}`;
}
