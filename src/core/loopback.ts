/** Whether an address belongs to this host alone. Dual-stack sockets show IPv4 addresses as `::ffff:127.0.0.1`. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/i.test(address);
}
