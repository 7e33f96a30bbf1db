import { SaxesParser } from 'saxes';
import { foundUserCheck } from '../../src/identity/found-user.ts';

/*
 * Finds the user of an envelope with a strict parser of XML, by the rules that deploy/docs/configuration.md describes
 * and with the defaults of the options. It knows nothing of how the gateway searches.
 */

const USER_ELEMENTS = ['userid', 'user', 'username', 'soapuser'];
/** Their content is about other people. */
const OTHERS = [
  'agent',
  'agents',
  'attacheddata',
  'itemattacheddata',
  'originator',
  'participant',
  'participants',
  'userids',
  'users',
];
/** Elements of `identity.sessionLists` that are not at the place of a list of one are about others too. */
const LISTS = ['appids'];
const MAX_DEPTH = 6;
const refusalOf = foundUserCheck(undefined);

export interface Reading {
  /** What the parser says against the document; what was found before counts. */
  readonly fault: string | undefined;
  readonly user: string | undefined;
  /** No element that follows could name another user. */
  readonly isBest: boolean;
  /** There are elements that refer to others, which this oracle does not follow. */
  readonly refers: boolean;
}

interface Open {
  readonly local: string;
  readonly uri: string;
  /** Its text, if it may name the user. */
  text: string | undefined;
}

/** For comparing names of elements, as with `elementMatch: loose`. */
function folded(name: string): string {
  return name.replaceAll(/[_-]/g, '').toLowerCase();
}

export function readEnvelope(document: string): Reading {
  const parser = new SaxesParser({ xmlns: true, position: false });
  const path: Open[] = [];
  let fault: string | undefined;
  let user: string | undefined;
  let rank = USER_ELEMENTS.length;
  let isOver = false;
  let refers = false;
  parser.on('error', ({ message }) => {
    fault ??= message;
  });
  parser.on('doctype', () => {
    fault ??= 'DOCTYPE, which SOAP forbids';
  });
  parser.on('opentag', ({ local, uri, attributes }) => {
    if (fault !== undefined || isOver) return;
    const parent = path.at(-1);
    if (parent !== undefined) parent.text = undefined;
    if (path.length === 0 && local !== 'Envelope') fault = 'no Envelope';
    if ('href' in attributes || 'id' in attributes) refers = true;
    path.push({ local, uri, text: mayNameUser(path, local) ? '' : undefined });
  });
  const onText = (text: string): void => {
    const open = path.at(-1);
    if (open?.text !== undefined) open.text += text;
  };
  parser.on('text', onText);
  parser.on('cdata', onText);
  parser.on('closetag', () => {
    if (fault !== undefined || isOver) return;
    const open = path.pop();
    const value = open?.text?.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
    const index = USER_ELEMENTS.indexOf(folded(open?.local ?? ''));
    if (value !== undefined && value !== '' && index < rank && refusalOf('user', value) === undefined) {
      user = value;
      rank = index;
    }
    const isBody = path.length === 1 && open?.local === 'Body' && open.uri === path[0]?.uri;
    if (isBody || path.length === 0) isOver = true;
  });
  try {
    parser.write(document).close();
  } catch (error) {
    fault ??= String(error);
  }
  return { fault, user, isBest: rank === 0, refers };
}

/** Is this an element with a user's name, at a place that counts? */
function mayNameUser(path: readonly Open[], local: string): boolean {
  const [envelope, section, ...inside] = path;
  if (envelope === undefined || section === undefined || path.length >= MAX_DEPTH) return false;
  if (section.uri !== envelope.uri || (section.local !== 'Header' && section.local !== 'Body')) return false;
  // The operation itself may be called like one of these.
  const isAboutOthers = inside.slice(1).some((each) => [...OTHERS, ...LISTS].includes(folded(each.local)));
  return !isAboutOthers && USER_ELEMENTS.includes(folded(local));
}
