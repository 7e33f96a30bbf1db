import { once } from 'node:events';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

export interface Given {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Sends a request on a connection that is kept. Of a stream of events it takes the first piece. */
export async function ask(
  url: string,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders,
  body?: Buffer | string,
): Promise<Given> {
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const send = async (): Promise<IncomingMessage> => {
    const sent = request(url, { agent, method, path, headers: { ...headers, ...length } });
    sent.end(body);
    try {
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      return answer;
    } catch (error) {
      // The other side may end an idle connection at any time.
      if (!sent.reusedSocket) throw error;
      return send();
    }
  };
  const answer = await send();
  const type = answer.headers['content-type'] ?? '';
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) {
    text += chunk;
    // Leaving the loop ends the connection.
    if (type === 'text/event-stream') break;
  }
  return { status: answer.statusCode ?? 0, type, text };
}
