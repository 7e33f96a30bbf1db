/** A `subscribe`, or another operation, similar to that of SAP CRM; its element names are placeholders. */
export function subscribeEnvelope(
  names: { user?: string; session?: string },
  operation = 'subscribe',
): string {
  const user = names.user === undefined ? '' : `<user>${names.user}</user>`;
  const session = names.session === undefined ? '' : `<sessionId>${names.session}</sessionId>`;
  return (
    '<?xml version="1.0" encoding="utf-8"?>' +
    '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>' +
    `<m:${operation} xmlns:m="urn:PLACEHOLDER:IciUserInterface">${user}${session}` +
    '<appUrl>http://crmapp2.example.com:8000/sap/PLACEHOLDER</appUrl>' +
    `</m:${operation}>` +
    '</SOAP-ENV:Body></SOAP-ENV:Envelope>'
  );
}
