import * as Type from 'typebox';
import { choice, reload, text } from './option.ts';

/** What a listener speaks, in each section of a listener's TLS. */
export const tlsProtocol = {
  minVersion: reload(
    choice(['TLSv1.2', 'TLSv1.3'], 'The oldest version of TLS that is accepted.', { default: 'TLSv1.2' }),
  ),
  ciphers: reload(
    Type.Optional(
      text(
        'Cipher suites of TLS 1.2, as OpenSSL names them, separated by `:`. By default those with forward secrecy and authenticated encryption: ECDHE with AES-GCM or ChaCha20-Poly1305. TLS 1.3 keeps its three suites, unless the list names some of them. Only for clients that cannot do better, such as an SAP kernel whose CommonCryptoLib lacks ECDHE: add the suite that it offers, for example `AES256-GCM-SHA384`.',
      ),
    ),
  ),
};
