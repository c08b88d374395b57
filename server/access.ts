import type { IncomingHttpHeaders } from 'node:http';
import { WinnowError } from '../errors.ts';

export interface AccessOptions {
  /** Host names besides those of loopback that requests may be addressed to, without a port. */
  readonly allowHosts?: readonly string[];
  /** Origins (`https://app.example`) whose pages may use the API from a browser. */
  readonly allowOrigins?: readonly string[];
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Checks who a request is addressed to and which page sent it. A page on the web can make a browser send requests here: under a
 * name of its own that it points at 127.0.0.1 (DNS rebinding), which `Host` shows, or across origins, which `Origin` shows.
 * Programs other than browsers send no `Origin`.
 *
 * @throws WinnowError WINNOW_FORBIDDEN
 */
export function checkAccess({ host, origin }: IncomingHttpHeaders, options: AccessOptions): void {
  const { allowHosts = [], allowOrigins = [] } = options;
  const name = hostName(host);
  if (
    name === undefined ||
    !(LOOPBACK.includes(name) || allowHosts.some((one) => one.toLowerCase() === name))
  )
    throw new WinnowError(
      'WINNOW_FORBIDDEN',
      `this server does not answer for host ${JSON.stringify(host ?? '')}`,
      {
        place: 'host',
        hint: 'use 127.0.0.1 or localhost, or start it with: winnow serve --allow-host NAME',
      },
    );
  if (origin === undefined || isSameOrigin(origin, host!) || allowOrigins.includes(origin)) return;
  throw new WinnowError('WINNOW_FORBIDDEN', `pages of ${JSON.stringify(origin)} may not use this server`, {
    place: 'origin',
    hint: 'start it with: winnow serve --allow-origin ORIGIN',
  });
}

/** In lower case, without port and the dot of a full name. */
function hostName(host: string | undefined): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/@\s]+?)\.?(?::\d{1,5})?$/.exec(host ?? '');
  return match?.[1]?.toLowerCase();
}

const isSameOrigin = (origin: string, host: string): boolean =>
  origin.toLowerCase() === `http://${host.toLowerCase()}`;
