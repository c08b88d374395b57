import { readFileSync } from 'node:fs';
import type { Server } from 'node:https';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { WinnowError } from '../errors.ts';

export interface TlsFiles {
  /** PEM file of the certificate and those that it was signed with. */
  readonly cert: string;
  /** PEM file of its private key. */
  readonly key: string;
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT for files that cannot be read or do not belong together */
export function readTls({ cert, key }: TlsFiles): SecureContextOptions {
  const read = (file: string, place: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (cause) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', (cause as Error).message, { place, cause });
    }
  };
  const options = {
    cert: read(cert, '--tls-cert'),
    key: read(key, '--tls-key'),
    minVersion: 'TLSv1.2',
  } as const;
  try {
    createSecureContext(options);
  } catch (cause) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `the TLS files cannot be used: ${(cause as Error).message}`,
      {
        place: '--tls-cert',
        hint: 'give PEM files of a certificate and of its private key',
        cause,
      },
    );
  }
  return options;
}

/**
 * Uses what the files hold now for new connections; those that are open go on.
 *
 * @throws as {@link readTls}; the server goes on with what it had
 */
export function reloadTls(app: FastifyInstance, files: TlsFiles): void {
  (app.server as unknown as Server).setSecureContext(readTls(files));
}
