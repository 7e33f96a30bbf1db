import { SAPCONTROL_NAMESPACE, writeXml } from './envelope.ts';
import type { Field, ListField, Method } from './message-types.ts';
import { METHODS, STATE_COLORS, STRUCTS } from './message-types.ts';

type Tree = Record<string, unknown>;

/** The service description (WSDL 1.1) for client generators; `location` is the URL of the service. */
export function wsdl(location: string): string {
  const methods: [string, Method][] = Object.entries(METHODS);
  return writeXml({
    definitions: {
      '@name': 'SAPControl',
      '@targetNamespace': SAPCONTROL_NAMESPACE,
      '@xmlns:SAPControl': SAPCONTROL_NAMESPACE,
      '@xmlns:xsd': 'http://www.w3.org/2001/XMLSchema',
      '@xmlns:SOAP': 'http://schemas.xmlsoap.org/wsdl/soap/',
      '@xmlns': 'http://schemas.xmlsoap.org/wsdl/',
      types: { 'xsd:schema': schema(methods) },
      message: methods.flatMap(([name]) => [
        message(name, 'Request', ''),
        message(name, 'Response', 'Response'),
      ]),
      portType: { '@name': 'SAPControlPortType', operation: methods.map(portOperation) },
      binding: {
        '@name': 'SAPControl',
        '@type': 'SAPControl:SAPControlPortType',
        'SOAP:binding': { '@style': 'document', '@transport': 'http://schemas.xmlsoap.org/soap/http' },
        operation: methods.map(([name]) => boundOperation(name)),
      },
      service: {
        '@name': 'SAPControl',
        port: {
          '@name': 'SAPControl',
          '@binding': 'SAPControl:SAPControl',
          'SOAP:address': { '@location': location },
        },
      },
    },
  });
}

function schema(methods: readonly [string, Method][]): Tree {
  const lists = methods.flatMap(([, { response }]) => response.filter(isList));
  return {
    '@targetNamespace': SAPCONTROL_NAMESPACE,
    '@elementFormDefault': 'unqualified',
    '@attributeFormDefault': 'unqualified',
    'xsd:simpleType': {
      '@name': 'STATE-COLOR',
      'xsd:restriction': {
        '@base': 'xsd:string',
        'xsd:enumeration': STATE_COLORS.map((value) => ({ '@value': value })),
      },
    },
    'xsd:complexType': [
      ...Object.entries(STRUCTS).map(([name, fields]) => ({ '@name': name, ...sequence(fields) })),
      ...lists.map(({ arrayType, itemType }) => ({ '@name': arrayType, ...sequenceOf([item(itemType)]) })),
    ],
    'xsd:element': methods.flatMap(([name, { request, response }]) => [
      { '@name': name, 'xsd:complexType': sequence(request) },
      { '@name': `${name}Response`, 'xsd:complexType': sequence(response) },
    ]),
  };
}

function sequence(fields: readonly (Field | ListField)[]): Tree {
  return sequenceOf(fields.map((field) => (isList(field) ? list(field) : single(field))));
}

function sequenceOf(elements: readonly Tree[]): Tree {
  return { 'xsd:sequence': elements.length === 0 ? '' : { 'xsd:element': elements } };
}

function single(field: Field): Tree {
  const isOptional = field.optional === true;
  return {
    '@name': field.name,
    '@type': field.type === 'STATE-COLOR' ? 'SAPControl:STATE-COLOR' : `xsd:${field.type}`,
    '@minOccurs': isOptional ? 0 : 1,
    '@maxOccurs': 1,
    ...(isOptional ? { '@nillable': 'true' } : {}),
    ...(field.default === undefined ? {} : { '@default': field.default }),
  };
}

function list({ name, arrayType }: ListField): Tree {
  return {
    '@name': name,
    '@type': `SAPControl:${arrayType}`,
    '@minOccurs': 0,
    '@maxOccurs': 1,
    '@nillable': 'true',
  };
}

function item(type: string): Tree {
  return {
    '@name': 'item',
    '@type': `SAPControl:${type}`,
    '@minOccurs': 0,
    '@maxOccurs': 'unbounded',
    '@nillable': 'true',
  };
}

function isList(field: Field | ListField): field is ListField {
  return 'arrayType' in field;
}

function message(method: string, suffix: string, element: string): Tree {
  return {
    '@name': `${method}${suffix}`,
    part: { '@name': 'parameters', '@element': `SAPControl:${method}${element}` },
  };
}

function portOperation([name, { documentation }]: [string, Method]): Tree {
  return {
    '@name': name,
    documentation,
    input: { '@message': `SAPControl:${name}Request` },
    output: { '@message': `SAPControl:${name}Response` },
  };
}

function boundOperation(name: string): Tree {
  const body = { 'SOAP:body': { '@use': 'literal' } };
  return { '@name': name, 'SOAP:operation': { '@soapAction': '' }, input: body, output: body };
}
